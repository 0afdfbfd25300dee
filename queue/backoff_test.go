package queue

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

func TestExponentialScheduleDoublesUpToTenMinutesWithFullJitter(t *testing.T) {
	longest := ExponentialSchedule{Rand: func(d time.Duration) time.Duration { return d - time.Millisecond }}
	want := time.Second
	for n := 1; n < 200; n++ {
		if got := longest.Delay(n); got != want {
			t.Errorf("after failure %d up to %s, want %s", n, got, want)
		}
		want = min(2*want, 10*time.Minute)
	}
	random := rand.New(rand.NewPCG(1, 2))
	jittered := ExponentialSchedule{Rand: func(d time.Duration) time.Duration { return time.Duration(random.Int64N(int64(d))) }}
	var low, high int
	for range 1000 {
		switch d := jittered.Delay(5); {
		case d <= 0 || d > 16*time.Second:
			t.Fatalf("%s after the fifth failure, want up to 16 s", d)
		case d < 4*time.Second:
			low++
		case d > 12*time.Second:
			high++
		}
	}
	if low < 200 || high < 200 {
		t.Errorf("of 1000 delays %d in the first quarter and %d in the last: that is no full jitter", low, high)
	}
}

// TestFailuresEndAfterADayWithTheLastError plays a day of failures in virtual time: each verdict's delay is waited for.
func TestFailuresEndAfterADayWithTheLastError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Consumer{o: ConsumerOptions{}.withDefaults()}
		c.o.Schedule = ExponentialSchedule{Rand: func(d time.Duration) time.Duration { return d - time.Millisecond }}
		d := &Delivery{Attempt: 1, record: record{Status: Queued}}
		began := time.Now()
		for {
			v := c.verdict(d, Outcome{}, Backoff("seam_unavailable", errors.New("502")), time.Second)
			v.apply(&d.record, "w")
			if v.Status == Dead {
				break
			}
			d.Attempt = d.record.Attempts + 1
			time.Sleep(v.Next)
		}
		// 1 + 2 + … + 512 s are ten failures, then one each ten minutes.
		if d.record.Attempts != 11+143 || time.Since(began) < 24*time.Hour || time.Since(began) > 24*time.Hour+10*time.Minute {
			t.Errorf("%d attempts in %s", d.record.Attempts, time.Since(began))
		}
		if d.record.Reason != "seam_unavailable" || d.record.Error != "502" || len(d.record.History) != maxHistory {
			t.Errorf("ended with %q, %q and %d in its history", d.record.Reason, d.record.Error, len(d.record.History))
		}
	})
}

func TestWhatIsNoFailureStartsTheDayAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Consumer{o: ConsumerOptions{}.withDefaults()}
		d := &Delivery{Attempt: 1, record: record{Status: Queued}}
		settle := func(o Outcome, err error) verdict {
			v := c.verdict(d, o, err, 0)
			v.apply(&d.record, "w")
			return v
		}
		settle(Outcome{}, errors.New("boom"))
		time.Sleep(23 * time.Hour)
		if v := settle(Outcome{}, Pause("unauthorized", errors.New("401"))); v.Status != Retrying || !v.givenBack || d.record.Attempts != 1 {
			t.Errorf("a pause is no attempt: %+v", d.record)
		}
		settle(Outcome{Status: Tagged}, nil)
		time.Sleep(23 * time.Hour) // replayed a day later
		if v := settle(Outcome{}, errors.New("boom")); v.Status != Retrying {
			t.Errorf("the day began with the failure before the success: %s", v.Status)
		}
	})
}

func TestRetryAfterIsHonouredUpToAnHour(t *testing.T) {
	for asked, want := range map[time.Duration]time.Duration{
		time.Second: time.Second, 90 * time.Second: 90 * time.Second, time.Hour: time.Hour, 25 * time.Hour: time.Hour, -time.Second: 0,
	} {
		c := &Consumer{o: ConsumerOptions{}.withDefaults()}
		v := c.verdict(&Delivery{Attempt: 1}, Outcome{}, After(asked, "rate_limited", context.DeadlineExceeded), 0)
		if v.Next != want || v.Status != Retrying {
			t.Errorf("asked for %s: %s in %s", asked, v.Status, v.Next)
		}
	}
}
