// Package alerts tells people by webhook that something needs them: an event was buried, work is paused, events had been missed.
// Over all processes it sends at most one alert a kind and reason within ten minutes. It never holds up who reports: alerts
// are sent beside the work and, when the receiver takes none, lost with a line in the log.
package alerts
