// SPDX-License-Identifier: Apache-2.0

// spire-client drives every API of spire-api-sdk from lines of JSON, so that contract tests are tables.
//
// Each line of standard input is one request, each line of standard output its answer, in order:
//
//	{"op":"connect","conn":"a","target":"unix:///run/api.sock"}
//	{"op":"connect","conn":"b","target":"127.0.0.1:8081","key":"k","chain":["<DER>",...],"ca":["<DER>",...]}
//	{"op":"key","key":"k","spiffe_id":"spiffe://..."}            answer: {"csr":"<DER>"}
//	{"op":"load","key":"k","cert_file":F,"key_file":F}           answer: {"chain":[...]}
//	{"op":"call","conn":"a","method":"/pkg.Service/Method","requests":[{...}],"timeout_ms":5000,
//	 "meta":{"workload.spiffe.io":"true"}}
//	{"op":"raw","conn":"a","method":"/any.Service/Method","body":"<bytes>"}
//	{"op":"mutate","conn":"a","method":"/pkg.Service/Method","requests":[{...}],"count":1000,"workers":8,"seed":1}
//
// DER and bytes are base64. The answer of a call: {"code":"OK","message":"","details":N,"responses":[{...}]}.
package main

import (
	"bufio"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	_ "github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	_ "github.com/spiffe/spire-api-sdk/proto/spire/api/server/agent/v1"
	_ "github.com/spiffe/spire-api-sdk/proto/spire/api/server/bundle/v1"
	_ "github.com/spiffe/spire-api-sdk/proto/spire/api/server/debug/v1"
	_ "github.com/spiffe/spire-api-sdk/proto/spire/api/server/entry/v1"
	_ "github.com/spiffe/spire-api-sdk/proto/spire/api/server/localauthority/v1"
	_ "github.com/spiffe/spire-api-sdk/proto/spire/api/server/logger/v1"
	_ "github.com/spiffe/spire-api-sdk/proto/spire/api/server/svid/v1"
	_ "github.com/spiffe/spire-api-sdk/proto/spire/api/server/trustdomain/v1"
	_ "google.golang.org/grpc/health/grpc_health_v1"
)

type request struct {
	Op, Conn, Target, Key, Method string
	SpiffeID                      string `json:"spiffe_id"`
	CertFile                      string `json:"cert_file"`
	KeyFile                       string `json:"key_file"`
	Chain, CA                     [][]byte
	Requests                      []json.RawMessage
	Body                          []byte
	Meta                          map[string]string
	TimeoutMS                     int `json:"timeout_ms"`
	Max                           int // responses to read from a stream; 0: all
	Count, Workers                int
	Seed                          int64
}

type answer struct {
	Code      string            `json:"code"`
	Message   string            `json:"message,omitempty"`
	Details   int               `json:"details,omitempty"`
	Responses []json.RawMessage `json:"responses,omitempty"`
	CSR       []byte            `json:"csr,omitempty"`
	Chain     [][]byte          `json:"chain,omitempty"`
	Micros    int64             `json:"us"`
}

type client struct {
	conns map[string]*grpc.ClientConn
	keys  map[string]crypto.PrivateKey
}

func main() {
	c := client{map[string]*grpc.ClientConn{}, map[string]crypto.PrivateKey{}}
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for {
		text, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var r request
		var a answer
		begin := time.Now()
		if err := json.Unmarshal(text, &r); err != nil {
			a = answer{Code: "BadLine", Message: err.Error()}
		} else {
			a = c.do(&r)
		}
		a.Micros = time.Since(begin).Microseconds()
		if out.Encode(a) != nil {
			return
		}
	}
}

func (c *client) do(r *request) answer {
	operations := map[string]func(*request) (answer, error){
		"connect": c.connect, "close": c.close, "key": c.key, "load": c.load,
		"call": c.call, "raw": c.raw, "mutate": c.mutate,
	}
	f := operations[r.Op]
	if f == nil {
		return answer{Code: "BadLine", Message: "no op " + r.Op}
	}
	a, err := f(r)
	if err != nil {
		s := status.Convert(err)
		a.Code, a.Message, a.Details = s.Code().String(), s.Message(), len(s.Proto().GetDetails())
	} else if a.Code == "" {
		a.Code = "OK"
	}
	return a
}

func (c *client) key(r *request) (answer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return answer{}, err
	}
	var template x509.CertificateRequest
	if r.SpiffeID != "" {
		id, err := url.Parse(r.SpiffeID)
		if err != nil {
			return answer{}, err
		}
		template.URIs = []*url.URL{id}
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &template, key)
	c.keys[r.Key] = key
	return answer{CSR: csr}, err
}

func (c *client) load(r *request) (answer, error) {
	pair, err := tls.LoadX509KeyPair(r.CertFile, r.KeyFile)
	if err != nil {
		return answer{}, err
	}
	c.keys[r.Key] = pair.PrivateKey
	return answer{Chain: pair.Certificate}, nil
}

func (c *client) tls(r *request) (credentials.TransportCredentials, error) {
	if strings.HasPrefix(r.Target, "unix:") {
		return insecure.NewCredentials(), nil
	}
	roots := x509.NewCertPool()
	for _, der := range r.CA {
		ca, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		roots.AddCert(ca)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true} // #nosec: names are SPIFFE IDs
	if len(r.CA) > 0 {
		config.VerifyConnection = func(s tls.ConnectionState) error {
			between := x509.NewCertPool()
			for _, cert := range s.PeerCertificates[1:] {
				between.AddCert(cert)
			}
			_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between})
			return err
		}
	}
	if r.Key != "" {
		config.Certificates = []tls.Certificate{{Certificate: r.Chain, PrivateKey: c.keys[r.Key]}}
	}
	return credentials.NewTLS(config), nil
}

func (c *client) connect(r *request) (answer, error) {
	creds, err := c.tls(r)
	if err != nil {
		return answer{}, err
	}
	conn, err := grpc.NewClient(r.Target, grpc.WithTransportCredentials(creds), grpc.WithAuthority("localhost"))
	if err == nil {
		c.conns[r.Conn] = conn
	}
	return answer{}, err
}

func (c *client) close(r *request) (answer, error) {
	conn := c.conns[r.Conn]
	delete(c.conns, r.Conn)
	if conn == nil {
		return answer{}, fmt.Errorf("no connection %q", r.Conn)
	}
	return answer{}, conn.Close()
}

func find(name string) (protoreflect.MethodDescriptor, error) {
	service, method, found := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	if !found {
		return nil, fmt.Errorf("%q is not /Service/Method", name)
	}
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return nil, err
	}
	m := d.(protoreflect.ServiceDescriptor).Methods().ByName(protoreflect.Name(method))
	if m == nil {
		return nil, fmt.Errorf("no method %q", name)
	}
	return m, nil
}

func (c *client) context(r *request) (context.Context, context.CancelFunc, *grpc.ClientConn, error) {
	conn := c.conns[r.Conn]
	if conn == nil {
		return nil, nil, nil, fmt.Errorf("no connection %q", r.Conn)
	}
	timeout := 10 * time.Second
	if r.TimeoutMS > 0 {
		timeout = time.Duration(r.TimeoutMS) * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	if len(r.Meta) > 0 {
		ctx = metadata.NewOutgoingContext(ctx, metadata.New(r.Meta))
	}
	return ctx, cancel, conn, nil
}

func messages(r *request, m protoreflect.MethodDescriptor) ([]proto.Message, error) {
	var list []proto.Message
	for _, text := range r.Requests {
		message := dynamicpb.NewMessage(m.Input())
		if err := protojson.Unmarshal(text, message); err != nil {
			return nil, err
		}
		list = append(list, message)
	}
	if len(list) == 0 {
		list = append(list, dynamicpb.NewMessage(m.Input()))
	}
	return list, nil
}

func (c *client) call(r *request) (answer, error) {
	var a answer
	m, err := find(r.Method)
	if err != nil {
		return a, err
	}
	list, err := messages(r, m)
	if err != nil {
		return a, err
	}
	ctx, cancel, conn, err := c.context(r)
	if err != nil {
		return a, err
	}
	defer cancel()
	desc := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	stream, err := conn.NewStream(ctx, desc, r.Method)
	if err != nil {
		return a, err
	}
	receive := func() error {
		message := dynamicpb.NewMessage(m.Output())
		if err := stream.RecvMsg(message); err != nil {
			return err
		}
		text, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(message)
		a.Responses = append(a.Responses, text)
		return err
	}
	for i, message := range list {
		if err := stream.SendMsg(message); err != nil && !errors.Is(err, io.EOF) {
			return a, err
		}
		if !m.IsStreamingClient() || i == len(list)-1 {
			break
		}
		if err := receive(); err != nil {
			return a, err
		}
	}
	if !m.IsStreamingClient() || r.Max == 0 {
		_ = stream.CloseSend()
	}
	for r.Max == 0 || len(a.Responses) < r.Max {
		if err := receive(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return a, err
		}
	}
	return a, nil
}

type bytesCodec struct{}

func (bytesCodec) Name() string { return "proto" }
func (bytesCodec) Marshal(v any) ([]byte, error) {
	return *v.(*[]byte), nil
}
func (bytesCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}

func (c *client) raw(r *request) (answer, error) {
	var a answer
	ctx, cancel, conn, err := c.context(r)
	if err != nil {
		return a, err
	}
	defer cancel()
	var reply []byte
	err = conn.Invoke(ctx, r.Method, &r.Body, &reply, grpc.ForceCodec(bytesCodec{}))
	if err == nil {
		text, _ := json.Marshal(reply)
		a.Responses = append(a.Responses, text)
	}
	return a, err
}
