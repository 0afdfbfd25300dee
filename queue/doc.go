// Package queue is durable at-least-once delivery of opaque messages on a Redis Stream that is also the archive.
package queue
