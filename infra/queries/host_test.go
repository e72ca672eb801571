package queries_test

// ofHost returns the items of the Functions host that queries ask for. The host is not ours to run here, so what it sends is
// listed: a request for each call, by the function's name, and a trace when it moves a message to the poison queue, whose
// text names the queue (azure-functions-host, LogConstants.InvocationIdKey; azure-sdk-for-net, QueueProcessor). Its traces of
// each call and its calls to the handler are not among them: host.json keeps them out.
func ofHost() []item {
	return []item{
		{[]string{"RegisterUser"}, []string{"InvocationId"}},
		{[]string{"userrelay-outbox-poison"}, nil},
		{[]string{"Health"}, []string{"InvocationId"}},
		// The workspace's own, of its cap (Microsoft, "Set daily cap on Log Analytics workspace").
		{[]string{"Ingestion", "OverQuota"}, nil},
	}
}
