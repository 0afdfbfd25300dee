package handlers

import (
	"fmt"
	"testing"
	"time"
)

func TestWhoGuessesTheTokenIsHeldBack(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	a := NewAdmission("right")
	a.now = func() time.Time { return now }
	if ok, _ := a.Try("10.0.0.1", "right"); !ok {
		t.Fatal("the right token is refused")
	}
	for i := range guesses {
		if ok, wait := a.Try("10.0.0.1", fmt.Sprint("wrong", i)); ok || wait != 0 {
			t.Fatalf("guess %d: %v, wait %s", i, ok, wait)
		}
	}
	ok, wait := a.Try("10.0.0.1", "right")
	if ok || wait <= 0 || wait > guessEvery {
		t.Errorf("after %d guesses: %v, wait %s; want a refusal of the right token for at most %s", guesses, ok, wait, guessEvery)
	}
	if ok, _ := a.Try("10.0.0.2", "right"); !ok {
		t.Error("another address is held back too")
	}
	now = now.Add(wait)
	if ok, wait := a.Try("10.0.0.1", "wrong"); ok || wait != 0 {
		t.Errorf("after the wait: %v, wait %s", ok, wait)
	}
	if _, wait := a.Try("10.0.0.1", "wrong"); wait <= 0 {
		t.Error("a second guess at once")
	}
	now = now.Add(guessEvery)
	if ok, _ := a.Try("10.0.0.1", "right"); !ok {
		t.Error("the right token is refused after the wait")
	}
}

func TestOneIPv6NetworkIsOneGuesser(t *testing.T) {
	a := NewAdmission("right")
	for i := range guesses {
		a.Try(fmt.Sprintf("2001:db8::%x", i+1), "wrong")
	}
	if ok, wait := a.Try("2001:db8::ffff", "right"); ok || wait <= 0 {
		t.Error("another address of the network guesses on")
	}
	if ok, _ := a.Try("2001:db8:0:1::1", "right"); !ok {
		t.Error("another network is held back")
	}
}

func TestGuessersAreForgotten(t *testing.T) {
	a := NewAdmission("right")
	for i := range mostGuessers + 100 {
		a.Try(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&0xff, i&0xff), "wrong")
	}
	if n := len(a.guessers); n > mostGuessers {
		t.Errorf("%d addresses are remembered, at most %d are wanted", n, mostGuessers)
	}
}
