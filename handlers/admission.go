package handlers

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/netip"
	"sync"
	"time"
)

const (
	guesses      = 20              // wrong tokens in a row from one address: a script with an old token is not held back at once
	guessEvery   = 3 * time.Second // and then one in this time
	mostGuessers = 10_000          // addresses remembered
)

// Admission knows the admin token, and holds back who guesses it: twenty wrong tokens from one address, then one in
// three seconds. The API and the page share one, so that one does not help with the other.
type Admission struct {
	token [sha256.Size]byte
	now   func() time.Time

	mu       sync.Mutex
	guessers map[string]time.Time // who showed a wrong token, and when all his guesses are forgotten
}

// NewAdmission returns the admission for a token that is not empty.
func NewAdmission(token string) *Admission {
	return &Admission{token: sha256.Sum256([]byte(token)), now: time.Now, guessers: map[string]time.Time{}}
}

// Try tells whether a token is the right one, in constant time. While an address is held back, wait says for how long, and
// even the right token is refused: else guessing could go on.
func (a *Admission) Try(remote, token string) (ok bool, wait time.Duration) {
	sum := sha256.Sum256([]byte(token))
	right := subtle.ConstantTimeCompare(sum[:], a.token[:]) == 1
	a.mu.Lock()
	defer a.mu.Unlock()
	from := network(remote)
	if free, known := a.guessers[from]; known {
		if wait = free.Sub(a.now()) - (guesses-1)*guessEvery; wait > 0 {
			return false, wait
		}
	}
	if right {
		delete(a.guessers, from)
		return true, 0
	}
	a.note(from)
	return false, 0
}

// note counts a wrong token: each takes one place, and a place is free again after guessEvery.
func (a *Admission) note(from string) {
	now := a.now()
	free, known := a.guessers[from]
	if !known {
		a.makeRoom(now)
	}
	if free.Before(now) {
		free = now
	}
	a.guessers[from] = free.Add(guessEvery)
}

// makeRoom forgets who has waited long enough, and somebody at random where that is nobody.
func (a *Admission) makeRoom(now time.Time) {
	if len(a.guessers) < mostGuessers {
		return
	}
	for from, free := range a.guessers {
		if free.Before(now) {
			delete(a.guessers, from)
		}
	}
	for from := range a.guessers {
		if len(a.guessers) < mostGuessers {
			return
		}
		delete(a.guessers, from)
	}
}

// network is what one guesser has of addresses: one of IPv4, 64 bits of IPv6.
func network(remote string) string {
	ip, err := netip.ParseAddr(remote)
	if err != nil || ip.Unmap().Is4() {
		return remote
	}
	prefix, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return remote
	}
	return prefix.String()
}
