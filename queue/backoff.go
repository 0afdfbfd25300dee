package queue

import (
	"math/rand/v2"
	"time"
)

// Schedule says how long to wait after the n-th failure in a row, n counted from 1.
type Schedule interface {
	Delay(failures int) time.Duration
}

// ExponentialSchedule doubles from First up to Max and then takes a uniformly random part of that (full jitter): with the
// defaults up to 1 s, 2 s, 4 s … 10 min. Zero fields take the defaults.
type ExponentialSchedule struct {
	First time.Duration                     // 1 s
	Max   time.Duration                     // 10 min
	Rand  func(time.Duration) time.Duration // a random duration in [0, d); math/rand/v2
}

// Delay implements Schedule.
func (e ExponentialSchedule) Delay(failures int) time.Duration {
	first, most, random := e.First, e.Max, e.Rand
	if first <= 0 {
		first = time.Second
	}
	if most <= 0 {
		most = 10 * time.Minute
	}
	if random == nil {
		random = rand.N[time.Duration]
	}
	d := first
	for range failures - 1 {
		if d >= most/2 {
			d = most
			break
		}
		d *= 2
	}
	return random(min(d, most)) + time.Millisecond
}
