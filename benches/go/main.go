// Command compare is the worker of the comparison that keeps conversations as Go services do: one
// value for each, with go-redis and encoding/json. It takes the orders that worker.py takes.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// Order is one line of input.
type Order struct {
	Do      string   `json:"do"`
	Verb    string   `json:"verb"`
	IDs     []string `json:"ids"`
	Size    int      `json:"size"`
	Count   int      `json:"count"`
	N       int      `json:"n"`
	Tail    *int     `json:"tail"`
	Seconds float64  `json:"seconds"`
	Writers int      `json:"writers"`
	Turns   int      `json:"turns"`
	// How far from its place a conversation begins, and how many turns it has grown by.
	Versions [][2]int `json:"versions"`
}

// Worker carries out orders.
type Worker struct {
	store  Store
	corpus *Corpus
	calls  []Call
	count  int
}

func (w *Worker) carryOut(order Order) (any, error) {
	switch order.Do {
	case "fill":
		return struct{}{}, w.fill(order)
	case "prepare":
		return struct{}{}, w.prepare(order)
	case "run":
		taken, busy, err := Timed(w.calls, w.count, order.Seconds)
		return map[string]any{"ns": taken, "cpu_ns": busy}, err
	case "turns":
		return w.turns(order)
	case "read":
		return w.read(order)
	case "list":
		ids, err := w.store.List()
		return map[string]any{"ids": ids}, err
	}
	return nil, fmt.Errorf("no such order: %q", order.Do)
}

func (w *Worker) save(id string, size int, version [2]int) error {
	messages, err := w.corpus.Version(id, size, version)
	if err != nil {
		return err
	}
	return w.store.Save(id, messages)
}

func (w *Worker) fill(order Order) error {
	for _, id := range order.IDs {
		if err := w.save(id, order.Size, [2]int{}); err != nil {
			return err
		}
	}
	return nil
}

func (w *Worker) prepare(order Order) error {
	w.calls, w.count = nil, order.Count
	one := func(call func(id string) error) {
		for _, id := range order.IDs {
			w.calls = append(w.calls, func() error { return call(id) })
		}
	}
	load := func(id string) error { _, err := w.store.Load(id); return err }
	switch order.Verb {
	case "save":
		for _, version := range order.Versions {
			one(func(id string) error { return w.save(id, order.Size, version) })
		}
	case "load":
		one(load)
	case "tail":
		one(func(id string) error { _, err := w.store.Tail(id, order.N); return err })
	case "append":
		for index := 0; index < order.Count; index++ {
			id := order.IDs[index%len(order.IDs)]
			turn := w.corpus.Turn(fmt.Sprintf("%s#%d", id, index))
			w.calls = append(w.calls, func() error { return w.store.Append(id, turn) })
		}
	case "save_many":
		for _, version := range order.Versions {
			save := func(id string) error { return w.save(id, order.Size, version) }
			w.calls = append(w.calls, func() error { return Many(order.IDs, save) })
		}
	case "load_many":
		w.calls = []Call{func() error { return Many(order.IDs, load) }}
	case "ids":
		w.calls = []Call{func() error { _, err := w.store.List(); return err }}
	default:
		return fmt.Errorf("no such verb: %q", order.Verb)
	}
	return nil
}

func (w *Worker) turns(order Order) (any, error) {
	var lock sync.Mutex
	var taken []int64
	begun := time.Now()
	err := together(order.Writers, func(writer int) error {
		id := order.IDs[writer%len(order.IDs)]
		for turn := 0; turn < order.Turns; turn++ {
			messages := w.corpus.Turn(fmt.Sprintf("w%d.%d", writer, turn))
			start := time.Now()
			if _, err := w.store.Load(id); err != nil {
				return err
			}
			if err := w.store.Append(id, messages); err != nil {
				return err
			}
			lock.Lock()
			taken = append(taken, time.Since(start).Nanoseconds())
			lock.Unlock()
		}
		return nil
	})
	return map[string]any{"ns": taken, "elapsed_ns": time.Since(begun).Nanoseconds()}, err
}

func (w *Worker) read(order Order) (any, error) {
	found := [][]Plain{}
	for _, id := range order.IDs {
		messages, err := w.store.Load(id)
		if order.Tail != nil {
			messages, err = w.store.Tail(id, *order.Tail)
		}
		if err != nil {
			return nil, err
		}
		found = append(found, ToPlain(messages))
	}
	return map[string]any{"found": found}, nil
}

func versions() map[string]string {
	found := map[string]string{"go": runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			found[module.Path] = module.Version
		}
	}
	return found
}

func run() error {
	path := flag.String("corpus", "", "file that corpus.py wrote")
	where := flag.String("address", "", "where the server is, as JSON")
	flag.Parse()
	var address Address
	if err := json.Unmarshal([]byte(*where), &address); err != nil {
		return err
	}
	corpus, err := ReadCorpus(*path)
	if err != nil {
		return err
	}
	worker := Worker{store: Open(address), corpus: corpus}
	output := json.NewEncoder(os.Stdout)
	if err := output.Encode(map[string]any{"versions": versions(), "writers": "goroutines"}); err != nil {
		return err
	}
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 64<<20)
	for input.Scan() {
		var order Order
		var answer any
		err := json.Unmarshal(input.Bytes(), &order)
		if err == nil {
			answer, err = worker.carryOut(order)
		}
		if err != nil {
			answer = map[string]string{"error": err.Error()}
		}
		if err := output.Encode(answer); err != nil {
			return err
		}
	}
	return input.Err()
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
