// Package seam speaks Seam: it reads the events that Seam sends and calls the few endpoints this service stands on.
//
// The client never retries and never follows a redirect: backing off is the queue's business, and a redirect would
// carry the API key elsewhere. What went wrong is told by errors.Is with ErrNotFound, ErrUnauthorized,
// ErrRateLimited, ErrInvalid and ErrUnavailable; the texts of errors are safe to log, see Error.
//
// Answers are read leniently (unknown fields, missing optional ones), but never so leniently that the metadata of an
// account could look empty when it is not: Seam's update replaces the whole object.
package seam
