package page

import (
	"net/http"
	"net/url"

	"seamtag/queue"
)

// deadView is what takes a hand, by reason.
type deadView struct {
	Groups []deadGroup
	All    int64
}

type deadGroup struct {
	Reason  string
	N       int64
	Meaning string
	Query   string        // of its list and of its replay
	Newest  []queue.Entry // some of it
}

const (
	groupsOpened = 20 // groups whose newest are shown
	newestShown  = 3
)

func (p *Page) dead(r *http.Request, _ *session) (answer, error) {
	stats, err := p.o.Queue.Stats(r.Context())
	if err != nil {
		return answer{}, err
	}
	v := deadView{All: stats.Ended[queue.Dead]}
	for _, c := range stats.Reasons { // the most first
		if c.Status == queue.Dead {
			q := url.Values{"status": {string(queue.Dead)}, "reason": {c.Reason}}
			v.Groups = append(v.Groups, deadGroup{Reason: c.Reason, N: c.Count, Meaning: meaning(c.Reason), Query: q.Encode()})
		}
	}
	for i := range min(len(v.Groups), groupsOpened) {
		g := &v.Groups[i]
		page, err := p.o.Queue.List(r.Context(), queue.Filter{Status: queue.Dead, Reason: g.Reason}, "", newestShown)
		if err != nil {
			return answer{}, err
		}
		g.Newest = page.Entries
	}
	return answer{look: "dead", title: "Dead", nav: navDead, follow: "/live", data: v}, nil
}
