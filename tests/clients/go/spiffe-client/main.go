// SPDX-License-Identifier: Apache-2.0

// spiffe-client is what a Go program of a user would be: go-spiffe against the Workload API.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sort"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc/status"
)

const usage = `usage: spiffe-client COMMAND [flags]
  fetch  [-timeout D]                            the first SVID of the agent's answer
  watch                                          one line for each change, from an X509Source
  server -listen ADDR -allow ID                  answers "hello, CALLER" over mTLS
  call   -url URL -expect ID [-for D -rate N]    one call, or N calls a second for a time
  stream                                         one line for each message: Unix nanoseconds, IDs
  bundles                                        trust domains of the bundles
The Workload API is at SPIFFE_ENDPOINT_SOCKET.
`

func main() {
	commands := map[string]func(context.Context, []string) error{
		"fetch": fetch, "watch": watch, "server": server, "call": call, "bundles": bundles,
		"stream": stream,
	}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := commands[os.Args[1]](ctx, os.Args[2:])
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "spiffe-client:", err)
		os.Exit(1)
	}
}

func line(svid *x509svid.SVID) string {
	leaf := svid.Certificates[0]
	return fmt.Sprintf("%s %x %d", svid.ID, leaf.SerialNumber, leaf.NotAfter.Unix())
}

func fetch(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("fetch", flag.ExitOnError)
	timeout := flags.Duration("timeout", 10*time.Second, "how long to wait")
	_ = flags.Parse(args)
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	answer, err := workloadapi.FetchX509Context(ctx)
	if err != nil {
		return err
	}
	for _, svid := range answer.SVIDs {
		fmt.Println(line(svid))
	}
	return nil
}

func bundles(ctx context.Context, _ []string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	set, err := workloadapi.FetchX509Bundles(ctx)
	if err != nil {
		return err
	}
	for _, b := range set.Bundles() {
		fmt.Println(b.TrustDomain(), len(b.X509Authorities()))
	}
	return nil
}

type printer struct{}

func (printer) OnX509ContextUpdate(c *workloadapi.X509Context) {
	text := fmt.Sprint(time.Now().UnixNano())
	for _, svid := range c.SVIDs {
		text += " " + svid.ID.String()
	}
	fmt.Println(text)
}

func (printer) OnX509ContextWatchError(err error) {
	fmt.Println(time.Now().UnixNano(), "error", status.Code(err), err)
}

func stream(ctx context.Context, _ []string) error {
	return workloadapi.WatchX509Context(ctx, printer{})
}

func watch(ctx context.Context, _ []string) error {
	source, err := workloadapi.NewX509Source(ctx)
	if err != nil {
		return err
	}
	defer source.Close()
	for {
		svid, err := source.GetX509SVID()
		if err != nil {
			return err
		}
		bundle, err := source.GetX509BundleForTrustDomain(svid.ID.TrustDomain())
		if err != nil {
			return err
		}
		fmt.Println(line(svid), len(bundle.X509Authorities()))
		select {
		case <-source.Updated():
		case <-ctx.Done():
			return nil
		}
	}
}

func authorizer(id string) (tlsconfig.Authorizer, error) {
	parsed, err := spiffeid.FromString(id)
	if err != nil {
		return nil, err
	}
	return tlsconfig.AuthorizeID(parsed), nil
}

func server(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("server", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:0", "address")
	allow := flags.String("allow", "", "the one SPIFFE ID that may call")
	_ = flags.Parse(args)
	authorize, err := authorizer(*allow)
	if err != nil {
		return err
	}
	source, err := workloadapi.NewX509Source(ctx)
	if err != nil {
		return err
	}
	defer source.Close()
	inner, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	fmt.Println("listening", inner.Addr().(*net.TCPAddr).Port)
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, _ := x509svid.IDFromCert(r.TLS.PeerCertificates[0])
		fmt.Fprintf(w, "hello, %s\n", id)
	})
	srv := &http.Server{Handler: hello, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		srv.Close()
	}()
	err = srv.Serve(tls.NewListener(inner, tlsconfig.MTLSServerConfig(source, source, authorize)))
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

type summary struct {
	Calls   int64    `json:"calls"`
	Failed  int64    `json:"failed"`
	P50ms   float64  `json:"p50_ms"`
	P99ms   float64  `json:"p99_ms"`
	Serials int      `json:"client_serials"`
	Errors  []string `json:"errors,omitempty"`
}

func once(client *http.Client, url string) (string, error) {
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err != nil {
		return "", err
	}
	peer, err := x509svid.IDFromCert(response.TLS.PeerCertificates[0])
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d %s %s", response.StatusCode, peer, body), nil
}

func call(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("call", flag.ExitOnError)
	url := flags.String("url", "", "https://HOST:PORT/PATH")
	expect := flags.String("expect", "", "SPIFFE ID of the server")
	duration := flags.Duration("for", 0, "go on for this time, then print a summary")
	rate := flags.Int("rate", 10, "calls a second")
	_ = flags.Parse(args)
	authorize, err := authorizer(*expect)
	if err != nil {
		return err
	}
	first, cancel := context.WithTimeout(ctx, 10*time.Second)
	source, err := workloadapi.NewX509Source(first)
	cancel()
	if err != nil {
		return err
	}
	defer source.Close()
	// A connection a call: each of them is a handshake with the identities in force.
	transport := &http.Transport{
		TLSClientConfig:   tlsconfig.MTLSClientConfig(source, source, authorize),
		DisableKeepAlives: true,
	}
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	if *duration == 0 {
		text, err := once(client, *url)
		if err == nil {
			fmt.Println(text)
		}
		return err
	}
	return many(ctx, client, source, *url, *duration, *rate)
}

func many(ctx context.Context, client *http.Client, source *workloadapi.X509Source, url string,
	duration time.Duration, rate int) error {
	type result struct {
		took time.Duration
		err  error
	}
	results := make(chan result, 1024)
	var started atomic.Int64
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	end := time.After(duration)
	serials := map[string]bool{}
	go func() {
		defer close(results)
		var running atomic.Int64
		done := make(chan struct{}, 1)
		for alive := true; alive; {
			select {
			case <-tick.C:
				started.Add(1)
				running.Add(1)
				go func() {
					begin := time.Now()
					_, err := once(client, url)
					results <- result{time.Since(begin), err}
					running.Add(-1)
					select {
					case done <- struct{}{}:
					default:
					}
				}()
			case <-end:
				alive = false
			case <-ctx.Done():
				alive = false
			}
		}
		for running.Load() > 0 {
			select {
			case <-done:
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	var s summary
	var took []float64
	for r := range results {
		s.Calls++
		took = append(took, float64(r.took.Microseconds())/1000)
		if svid, err := source.GetX509SVID(); err == nil {
			serials[svid.Certificates[0].SerialNumber.String()] = true
		}
		if r.err != nil {
			s.Failed++
			if len(s.Errors) < 10 {
				s.Errors = append(s.Errors, time.Now().Format(time.RFC3339Nano)+" "+r.err.Error())
			}
		}
	}
	sort.Float64s(took)
	if n := len(took); n > 0 {
		s.P50ms, s.P99ms = took[n/2], took[n*99/100]
	}
	s.Serials = len(serials)
	return json.NewEncoder(os.Stdout).Encode(s)
}
