package storagequeue_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"userrelay/local/freeport"
	"userrelay/local/realkafka"
	"userrelay/local/storagequeue"
	"userrelay/test/skip"
	"userrelay/test/wait"
)

const (
	account = "devstoreaccount1"
	// The well-known key.
	key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

	azuriteFolder = "../../test/azurite"
	azuriteMain   = azuriteFolder + "/node_modules/azurite/dist/src/queue/main.js"
	howTo         = "Azurite is missing; it needs Node 20, and `make test-queue` installs it and runs this test"
)

// target is a queue service under test.
type target struct {
	url     string // of the account
	client  *http.Client
	azurite bool
}

// start starts a stand-in on a free port.
func start(t *testing.T, c storagequeue.Config) target {
	t.Helper()
	c.Addr = "127.0.0.1:0"
	s, err := storagequeue.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return target{url: s.URL(), client: client(t, c.Certificate)}
}

// client returns an HTTP client that trusts a certificate.
func client(t *testing.T, certificate *tls.Certificate) *http.Client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	if certificate != nil {
		pool := x509.NewCertPool()
		pool.AddCert(certificate.Leaf)
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// azurite starts an Azurite. With a certificate it accepts bearer tokens.
func azurite(t *testing.T, certificate *tls.Certificate) target {
	t.Helper()
	node, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat(azuriteMain)
	}
	if err != nil {
		skip.For(t, howTo)
	}
	main, err := filepath.Abs(azuriteMain)
	if err != nil {
		t.Fatal(err)
	}
	free, err := freeport.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	host, port := "127.0.0.1", strconv.Itoa(free)
	address := net.JoinHostPort(host, port)
	dir := t.TempDir()
	args := []string{main, "--silent", "--skipApiVersionCheck", "--disableTelemetry", "--location", dir, "--queueHost", host, "--queuePort", port}
	scheme := "http"
	if certificate != nil {
		cert, private := writePEM(t, certificate)
		args = append(args, "--oauth", "basic", "--cert", cert, "--key", private)
		scheme = "https"
	}
	command := exec.CommandContext(context.Background(), node, args...)
	command.Dir, command.Stdout, command.Stderr = dir, t.Output(), t.Output()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = command.Wait() // it is killed
	}()
	t.Cleanup(func() {
		_ = command.Process.Kill() // unless it has ended by itself
		<-ended
	})
	wait.For(t, "Azurite listens", func() bool {
		select {
		case <-ended:
			t.Fatal("Azurite ended before it was ready")
		default:
		}
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		return err == nil && c.Close() == nil
	})
	return target{url: scheme + "://" + address + "/" + account, client: client(t, certificate), azurite: true}
}

// options are the options of a client without retries.
func (s target) options() *azqueue.ClientOptions {
	return &azqueue.ClientOptions{ClientOptions: policy.ClientOptions{
		Transport: s.client, Retry: policy.RetryOptions{MaxRetries: -1},
	}}
}

// service returns the client of the account.
func (s target) service(t *testing.T) *azqueue.ServiceClient {
	t.Helper()
	return s.serviceAs(t, account, key)
}

func (s target) serviceAs(t *testing.T, account, key string) *azqueue.ServiceClient {
	t.Helper()
	credential, err := azqueue.NewSharedKeyCredential(account, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := azqueue.NewServiceClientWithSharedKeyCredential(s.url+"/", credential, s.options())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// queue makes a queue for the test and returns its client.
func (s target) queue(t *testing.T) *azqueue.QueueClient {
	t.Helper()
	q := s.service(t).NewQueueClient("test-" + strings.ToLower(rand.Text()))
	if _, err := q.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return q
}

// certificate returns a certificate for loopback.
func certificate(t *testing.T) *tls.Certificate {
	t.Helper()
	ca, err := realkafka.NewCA("queue")
	if err != nil {
		t.Fatal(err)
	}
	made, err := ca.Issue(realkafka.CertSpec{})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(made.CertPEM, made.KeyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return &pair
}

// writePEM writes a certificate and its key to files.
func writePEM(t *testing.T, c *tls.Certificate) (cert, private string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, private = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeFile(t, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}))
	writeFile(t, private, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return cert, private
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
