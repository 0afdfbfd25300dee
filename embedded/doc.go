// Package embedded gives seamtag a Redis where none is installed or configured.
//
// With redis-server or valkey-server on the PATH it runs one as a child process with an append-only file under the
// data folder: durable. The child listens on a unix socket in a folder of its own and on no TCP port, so nobody but
// this user reaches it. It is restarted when it dies, and it does not outlive this process on Linux.
//
// Without one it runs miniredis inside this process: everything is gone when the process ends. Volatile says which of
// the two it is, and the log says so loudly.
//
// A data folder belongs to one process at a time. The lock on it is an flock on an open file that the child inherits,
// so even a child that was orphaned by kill -9 keeps the folder locked for as long as it writes to it.
package embedded
