package cli

import (
	"time"

	"seamtag/alerts"
	"seamtag/config"
	"seamtag/internal/post"
	"seamtag/queue"
)

// assembleAlerts makes what ALERT_WEBHOOK_URL asks for; nil where it is not set.
func (a *app) assembleAlerts() error {
	if a.config.AlertURL == "" {
		return nil
	}
	sender, err := post.New(post.Options{
		URL: a.config.AlertURL.Reveal(), Tries: 5, Schedule: queue.ExponentialSchedule{First: 2 * time.Second, Max: 30 * time.Second},
	})
	if err != nil {
		return usage(&config.Error{Variable: "ALERT_WEBHOOK_URL", Problem: err.Error()})
	}
	a.closers = append(a.closers, sender.Close)
	a.alerts, err = alerts.New(alerts.Options{
		Sender: sender, Turns: a.queue, Secrets: a.config.AlertSecrets.Reveal(), Log: a.log, Registerer: a.registry,
	})
	if err != nil {
		return err
	}
	a.closers = append(a.closers, a.alerts.Close)
	return nil
}

// alerting adds alerts to what is told of the consumer's work.
func alerting(o queue.Observer, n *alerts.Notifier) queue.Observer {
	if n == nil {
		return o
	}
	settled, paused := o.Settled, o.Paused
	o.Settled = func(s queue.Settlement) {
		settled(s)
		if s.Status == queue.Dead && !s.Lost {
			n.Notify(alerts.Alert{
				Kind: alerts.Dead, Reason: s.Reason, EntryID: s.Delivery.EntryID, EventID: s.Delivery.EventID, Account: s.Delivery.Key,
			})
		}
	}
	o.Paused = func(reason string, err error) {
		paused(reason, err)
		n.Notify(alerts.Alert{Kind: alerts.Paused, Reason: reason})
	}
	return o
}

// alertOfMissed tells of events that no webhook brought.
func (a *app) alertOfMissed(events int) {
	if a.alerts != nil {
		a.alerts.Notify(alerts.Alert{Kind: alerts.Gap, Missed: events})
	}
}
