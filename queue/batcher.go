package queue

import (
	"context"
	"sync"
)

// batcher coalesces calls that are under way at the same time. It never waits for company: a flusher takes the first call
// there is, adds those already queued behind it, and flushes. Batches form only while all flushers are busy, so one call
// alone has the latency of one flush and many share it.
type batcher[T any] struct {
	in       chan T
	size     func(T) int
	flush    func([]T)
	maxItems int
	maxBytes int
	flushers sync.WaitGroup
}

// newBatcher starts n flushers. A batch has at most maxItems calls and, unless one alone is larger, maxBytes.
func newBatcher[T any](n, maxItems, maxBytes int, size func(T) int, flush func([]T)) *batcher[T] {
	b := &batcher[T]{in: make(chan T, maxItems), size: size, flush: flush, maxItems: maxItems, maxBytes: maxBytes}
	for range n {
		b.flushers.Go(b.run)
	}
	return b
}

// add queues a call for the next flush. The flush function answers it.
func (b *batcher[T]) add(ctx context.Context, call T) error {
	select {
	case b.in <- call:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// close flushes what is queued and ends the flushers. No add may follow or be under way.
func (b *batcher[T]) close() {
	close(b.in)
	b.flushers.Wait()
}

func (b *batcher[T]) run() {
	batch := make([]T, 0, b.maxItems)
	for first := range b.in {
		for more := true; more; {
			batch = append(batch[:0], first)
			first, more = b.fill(&batch)
			b.flush(batch)
			clear(batch)
		}
	}
}

// fill adds what is queued already, up to the limits. A call that no longer fits starts the next batch.
func (b *batcher[T]) fill(batch *[]T) (next T, more bool) {
	bytes := b.size((*batch)[0])
	for len(*batch) < b.maxItems {
		select {
		case call, open := <-b.in:
			if !open {
				return next, false
			}
			bytes += b.size(call)
			if bytes > b.maxBytes {
				return call, true
			}
			*batch = append(*batch, call)
		default:
			return next, false
		}
	}
	return next, false
}
