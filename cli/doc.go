// Package cli holds the commands and puts the parts together; it is the only place that knows them all.
//
// serve.go wires and stops a process, worker.go is the glue between a delivery and the tagging of its account, with the
// one table of what follows from a failure. Every command has a file of its own, with its help on top.
package cli
