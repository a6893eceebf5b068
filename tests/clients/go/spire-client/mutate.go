// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"math/rand"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// mutated is what became of many damaged messages: how often each code was answered, and how long it took.
type mutated struct {
	Codes  map[string]int `json:"codes"`
	MeanUS int64          `json:"mean_us"`
	MaxUS  int64          `json:"max_us"`
}

// damage returns a copy of text with one to four random changes.
func damage(random *rand.Rand, text []byte) []byte {
	out := append([]byte(nil), text...)
	at := func() int { return random.Intn(len(out) + 1) }
	insert := func(i int, more []byte) { out = append(out[:i:i], append(more, out[i:]...)...) }
	for range 1 + random.Intn(4) {
		switch random.Intn(6) {
		case 0:
			if len(out) > 0 {
				out[random.Intn(len(out))] ^= 1 << random.Intn(8)
			}
		case 1:
			out = out[:at()]
		case 2:
			more := make([]byte, 1+random.Intn(16))
			random.Read(more)
			insert(at(), more)
		case 3:
			from := at()
			insert(at(), append([]byte(nil), out[from:]...))
		case 4: // a number that no field expects
			insert(at(), []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, byte(random.Intn(4))})
		case 5: // a field of any number and type, with a length of its own
			insert(at(), []byte{byte(random.Intn(256)), byte(random.Intn(256)), byte(random.Intn(256))})
		}
		if len(out) > 16384 {
			out = out[:16384]
		}
	}
	return out
}

func exchange(r *request, conn *grpc.ClientConn, body []byte) string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	desc := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	stream, err := conn.NewStream(ctx, desc, r.Method, grpc.ForceCodec(bytesCodec{}))
	if err != nil {
		return status.Code(err).String()
	}
	_ = stream.SendMsg(&body)
	_ = stream.CloseSend()
	var reply []byte
	for range 16 {
		if err = stream.RecvMsg(&reply); err != nil {
			break
		}
	}
	if err != nil && err.Error() == "EOF" {
		return "OK"
	}
	return status.Code(err).String()
}

// mutate sends r.Count damaged copies of r.Requests in turn, r.Workers at a time.
func (c *client) mutate(r *request) (answer, error) {
	var a answer
	m, err := find(r.Method)
	if err != nil {
		return a, err
	}
	list, err := messages(r, m)
	if err != nil {
		return a, err
	}
	_, cancel, conn, err := c.context(r)
	if err != nil {
		return a, err
	}
	defer cancel()
	var seeds [][]byte
	for _, message := range list {
		text, err := proto.Marshal(message)
		if err != nil {
			return a, err
		}
		seeds = append(seeds, text)
	}
	sum := mutated{Codes: map[string]int{}}
	begin := time.Now()
	var lock sync.Mutex
	var all sync.WaitGroup
	for worker := range r.Workers {
		all.Add(1)
		go func() {
			defer all.Done()
			random := rand.New(rand.NewSource(r.Seed + int64(worker))) // #nosec: a run can be repeated
			for i := worker; i < r.Count; i += r.Workers {
				start := time.Now()
				code := exchange(r, conn, damage(random, seeds[i%len(seeds)]))
				took := time.Since(start).Microseconds()
				lock.Lock()
				sum.Codes[code]++
				sum.MaxUS = max(sum.MaxUS, took)
				lock.Unlock()
			}
		}()
	}
	all.Wait()
	sum.MeanUS = time.Since(begin).Microseconds() / int64(max(r.Count, 1))
	text, err := json.Marshal(sum)
	a.Responses = append(a.Responses, text)
	return a, err
}
