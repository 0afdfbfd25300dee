package queue

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// renew extends the leases of what has been in flight for a while.
func (c *Consumer) renew(ctx context.Context) {
	asked := time.Now()
	var held []*Delivery
	c.mu.Lock()
	for _, d := range c.flight {
		if asked.UnixNano()-d.extended.Load() > int64(c.o.Lease/6) {
			held = append(held, d)
		}
	}
	c.mu.Unlock()
	if len(held) == 0 {
		return
	}
	keys, args := []string{c.q.keys.log()}, []any{group, c.name, c.o.Lease.Milliseconds()}
	for _, d := range held {
		keys = append(keys, c.q.keys.lock(d.Key))
		args = append(args, d.EntryID, d.lockToken())
	}
	reply, err := c.q.run(ctx, renewScript, keys, args...).StringSlice()
	if err != nil || len(reply) != len(held) {
		c.trouble("extend leases", err)
		return
	}
	for i, d := range held {
		if reply[i] == "1" {
			d.noteExtended(asked)
		} else {
			d.cancel(ErrLeaseLost)
		}
	}
}

// upkeep trims the log and forgets consumers that are long gone.
func (c *Consumer) upkeep(ctx context.Context) {
	if err := c.trim(ctx); err != nil {
		c.trouble("trim the log", err)
	}
	if c.upkeeps++; c.upkeeps%60 != 0 {
		return
	}
	if err := c.forgetConsumers(ctx); err != nil {
		c.trouble("forget consumers that are gone", err)
	}
}

// trim forgets what is past its retention. Until something can be, it asks nothing.
func (c *Consumer) trim(ctx context.Context) error {
	now := time.Now()
	if now.Before(c.trims) {
		return nil
	}
	oldest, err := c.q.oldest(ctx)
	if err == nil && !oldest.IsZero() && oldest.Before(now.Add(-c.q.o.Retention)) {
		if err = c.q.trim(ctx, now.Add(-c.q.o.Retention)); err == nil {
			oldest, err = c.q.oldest(ctx)
		}
	}
	if err != nil {
		return err
	}
	if oldest.IsZero() {
		oldest = now
	}
	c.trims = oldest.Add(c.q.o.Retention)
	return nil
}

// oldest is when the oldest entry of the log arrived; zero where there is none.
func (q *Queue) oldest(ctx context.Context) (time.Time, error) {
	first, err := q.rdb.XRangeN(ctx, q.keys.log(), "-", "+", 1).Result()
	if err != nil {
		return time.Time{}, fmt.Errorf("find the oldest entry: %w", err)
	}
	if len(first) == 0 {
		return time.Time{}, nil
	}
	return arrival(first[0].ID), nil
}

const trimBatch = 200

// trim forgets entries that arrived before the given time, oldest first, never past the first that has not ended.
func (q *Queue) trim(ctx context.Context, before time.Time) error {
	k := q.keys
	end := "(" + strconv.FormatInt(before.UnixMilli(), 10) + "-0"
	for {
		old, err := q.rdb.XRangeN(ctx, k.log(), "-", end, trimBatch).Result()
		if err != nil || len(old) == 0 {
			return err
		}
		shelves, err := q.shelfKeys(ctx)
		if err != nil {
			return err
		}
		keys := []string{k.log(), k.open()}
		ids := make([]any, 0, len(old))
		for _, m := range old {
			index := k.log()
			if key, _ := m.Values["key"].(string); key != "" {
				index = k.index(key)
			}
			keys, ids = append(keys, index), append(ids, m.ID)
		}
		n, err := q.run(ctx, trimScript, append(keys, shelves...), ids...).Int()
		if err != nil || n < trimBatch {
			return err
		}
	}
}

// forgetConsumers takes names out of the group that hold nothing and gave no sign for an hour.
func (c *Consumer) forgetConsumers(ctx context.Context) error {
	log := c.q.keys.log()
	infos, err := c.q.rdb.XInfoConsumers(ctx, log, group).Result()
	if err != nil {
		return err
	}
	for _, info := range infos {
		if info.Name == c.name || info.Pending > 0 || info.Idle < time.Hour {
			continue
		}
		if err := c.q.run(ctx, forgetScript, []string{log}, group, info.Name).Err(); err != nil {
			return err
		}
	}
	return nil
}
