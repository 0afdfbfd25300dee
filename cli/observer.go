package cli

import (
	"time"

	"github.com/rs/zerolog"

	"seamtag/queue"
)

// newObserver logs what the consumer does, once, where it ends. Never payloads or metadata values: errors hold none.
func newObserver(log zerolog.Logger) queue.Observer {
	return queue.Observer{
		Settled: func(s queue.Settlement) { logSettlement(log, s) },
		Paused: func(reason string, err error) {
			log.Error().Str("reason", reason).Err(err).
				Msg("PAUSED: Seam refuses the API key; nothing is lost, work goes on by itself once SEAM_API_KEY is right")
		},
		Resumed: func(after time.Duration) { log.Info().Dur("after", after).Msg("working again") },
		Trouble: func(doing string, err error) { log.Warn().Err(err).Msg("redis: " + doing) },
	}
}

func logSettlement(log zerolog.Logger, s queue.Settlement) {
	event, text := log.Info(), "event ended"
	switch {
	case s.Lost:
		event, text = log.Warn(), "the lease was lost: another worker has the event"
	case s.Status == queue.Dead:
		event, text = log.Error(), "event buried"
	case !s.Status.Ended():
		event, text = log.Warn(), "event will be tried again"
	}
	d := s.Delivery
	event.Str("stream_id", d.EntryID).Str("event_id", d.EventID).Str("account_id", d.Key).Str("status", string(s.Status)).
		Int("attempt", d.Attempt).Dur("took", s.Took)
	if id := traceIDOf(d.Trace); id != "" {
		event.Str("trace_id", id)
	}
	if s.Reason != "" {
		event.Str("reason", s.Reason)
	}
	if s.Err != nil {
		event.AnErr("error", s.Err)
	}
	if !s.Status.Ended() {
		event.Dur("next", s.Next)
	}
	event.Msg(text)
}
