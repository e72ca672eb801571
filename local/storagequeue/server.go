package storagequeue

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"userrelay/local/devstorage"
	"userrelay/local/storagequeue/internal/store"
)

// account is the only account.
const account = devstorage.Account

// Config is the configuration of the service.
type Config struct {
	// Addr is host:port; port 0 means a free one. It must be a loopback address, because the key is public.
	Addr string
	// Dir is the folder that keeps the queues after the process has ended in any way. It is created if missing, and
	// belongs to one server at a time. "" keeps the queues in memory.
	Dir string
	// Listener replaces listening on Addr; clients still use Addr.
	Listener net.Listener
	// Certificate makes it an https service, which accepts bearer tokens and the key. nil: http, and only the key.
	Certificate *tls.Certificate
}

// Server is a running service.
type Server struct {
	url    string
	scheme string
	store  *store.Store
	stop   func() error
}

// Start starts a service, which answers when Start returns. The caller must close it.
func Start(c Config) (*Server, error) {
	if err := onlyLoopback(c.Addr); err != nil {
		return nil, fmt.Errorf("queue service: %w", err)
	}
	queues, err := store.Open(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("queue service: %w", err)
	}
	listener, address := c.Listener, c.Addr
	if listener == nil {
		if listener, err = (&net.ListenConfig{}).Listen(context.Background(), "tcp", c.Addr); err != nil {
			return nil, errors.Join(fmt.Errorf("queue service: %w", err), queues.Close())
		}
		address = listener.Addr().String()
	}
	s := &Server{scheme: "http", store: queues}
	if c.Certificate != nil {
		s.scheme = "https"
	}
	s.url = s.scheme + "://" + address + "/" + account
	s.serve(listener, c.Certificate)
	return s, nil
}

func onlyLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%s is not an address of this machine alone, such as 127.0.0.1", address)
	}
	return nil
}

// Time limits for requests. An answer takes an fsync.
const (
	headerLimit  = 10 * time.Second
	requestLimit = 30 * time.Second
	idleLimit    = 2 * time.Minute
	closeLimit   = 2 * time.Second // for the requests that are under way when the service ends
)

func (s *Server) serve(listener net.Listener, certificate *tls.Certificate) {
	server := &http.Server{
		Handler:           &handler{store: s.store, endpoint: s.url, secure: certificate != nil},
		ReadHeaderTimeout: headerLimit,
		ReadTimeout:       requestLimit,
		WriteTimeout:      requestLimit,
		IdleTimeout:       idleLimit,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // of clients that say no TLS and the like
		Protocols:         new(http.Protocols),                                     // HTTP/1.1 only, like the service
	}
	server.Protocols.SetHTTP1(true)
	if certificate != nil {
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{*certificate}, MinVersion: tls.VersionTLS12})
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) }) // ends when Close says so
	s.stop = sync.OnceValue(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			_ = server.Close() // clients that are still connected have had enough time
		}
		serving.Wait()
		return s.store.Close()
	})
}

// ConnectionString returns the connection string for clients: endpoint, account and key.
func (s *Server) ConnectionString() string {
	return "DefaultEndpointsProtocol=" + s.scheme + ";AccountName=" + account + ";AccountKey=" + devstorage.Key + ";QueueEndpoint=" + s.url + ";"
}

// URL returns the service's endpoint, http://127.0.0.1:PORT/devstoreaccount1.
func (s *Server) URL() string { return s.url }

// Close ends the service. Requests in progress get a moment to finish. The error says why the folder could not be
// written, now or earlier; clients got InternalError.
func (s *Server) Close() error { return s.stop() }
