// Package parts starts the real parts that tests run against: a redis-server of their own with AOF,
// node with the npm packages under npm/. It is imported by tests only, never by the binary.
//
// Nothing here skips: a missing part fails the test and says how to get it (make deps).
package parts
