package main

import (
	"sync"
	"syscall"
	"time"
)

// Call is one timed call.
type Call func() error

func cpu() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

// Timed makes the calls over and over, count in all or for so long; at least one.
func Timed(calls []Call, count int, seconds float64) (taken []int64, busy int64, err error) {
	begun := cpu()
	deadline := time.Now().Add(time.Duration(seconds * float64(time.Second)))
	for index := 0; index < count; index++ {
		start := time.Now()
		if err := calls[index%len(calls)](); err != nil {
			return nil, 0, err
		}
		end := time.Now()
		taken = append(taken, end.Sub(start).Nanoseconds())
		if end.After(deadline) {
			break
		}
	}
	return taken, cpu() - begun, nil
}

// Many does a thing for each of many ids, from a few goroutines.
func Many(ids []string, do func(id string) error) error {
	const workers = 8
	queue := make(chan string, len(ids))
	for _, id := range ids {
		queue <- id
	}
	close(queue)
	return together(workers, func(int) error {
		for id := range queue {
			if err := do(id); err != nil {
				return err
			}
		}
		return nil
	})
}

func together(workers int, do func(worker int) error) error {
	var group sync.WaitGroup
	failed := make(chan error, workers)
	for worker := 0; worker < workers; worker++ {
		group.Add(1)
		go func() {
			defer group.Done()
			if err := do(worker); err != nil {
				failed <- err
			}
		}()
	}
	group.Wait()
	close(failed)
	return <-failed
}
