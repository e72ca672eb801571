package funchost

// banner is the first text of every start. It names what the stand-in does not do.
const banner = `This is a stand-in of the Azure Functions host (v4) for custom handlers. It is not Microsoft's. It leaves out:
  - all triggers but HTTP and Storage queues, invocation mode for HTTP, input and output bindings, warm-up
  - of queues: connections by identity, JSON beyond the standard in the handler's answers
  - route parameters, customHandler.http.routes, configurationProfile, the old httpWorker section
  - CORS, Easy Auth, key storage, the admin API but /admin/host/ping, a restart when files change
  - the host's metrics, live metrics and sampling, throttles, health monitor, chmod of the handler
  - the platform's front end and its 230 s, proxy mode's 240 s idle limit
  - of HTTP: reason phrases, the case of header names, dot segments in paths, 414 for URLs beyond 80 kB
The real host waits 120 s when the handler cannot be started, the stand-in 1 s.`
