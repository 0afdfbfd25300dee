package queue

// group is the consumer group of the log and of wake.
const group = "workers"

// keys builds every Redis key of one workspace. They share one hash tag, so that scripts run on a Cluster.
type keys struct{ prefix string }

func newKeys(workspace string) keys { return keys{prefix: "{seamtag:" + workspace + "}:"} }

// log is the stream of all entries and the archive.
func (k keys) log() string { return k.prefix + "log" }

// open is the zset of every entry that has not ended, by arrival in ms.
func (k keys) open() string { return k.prefix + "open" }

// due is the zset of waiting entries, by the time in ms when they go on.
func (k keys) due() string { return k.prefix + "due" }

// wake is the tiny stream that wakes a sleeping worker.
func (k keys) wake() string { return k.prefix + "wake" }

// pause holds why the workers pause, while they do.
func (k keys) pause() string { return k.prefix + "pause" }

// seen is the mark of a message id: the entry that bears it.
func (k keys) seen(messageID string) string { return k.prefix + "seen:" + messageID }

// event is the mark of an event id: the entry that bears it.
func (k keys) event(eventID string) string { return k.prefix + "event:" + eventID }

// entry is the hash of what became of an entry.
func (k keys) entry(id string) string { return k.prefix + "entry:" + id }

// shelf is the zset of the entries of one status, reason and type, by arrival in ms.
func (k keys) shelf(s shelf) string { return k.prefix + "shelf:" + s.name() }

// shelves is the set of the names of all shelves.
func (k keys) shelves() string { return k.prefix + "shelves" }

// index is the zset of a key's entries, by arrival in ms.
func (k keys) index(key string) string { return k.prefix + "entries:" + key }

// state is what the handlers remember of a key.
func (k keys) state(key string) string { return k.prefix + "account:" + key }

// lock is who works on a key.
func (k keys) lock(key string) string { return k.prefix + "lock:" + key }

// run is how far a replay is.
func (k keys) run(name string) string { return k.prefix + "replay:" + name }

// note is a name remembered for a time.
func (k keys) note(name string) string { return k.prefix + "note:" + name }

// stepped marks that what is timed by the server's clock was moved back along with it.
func (k keys) stepped() string { return k.prefix + "stepped" }

// turn is who does something that one of several processes does.
func (k keys) turn(name string) string { return k.prefix + "turn:" + name }

// gap holds the last gap check.
func (k keys) gap() string { return k.prefix + "gap" }

// rate is how full the rate of calls to Seam is: the life that is left of it.
func (k keys) rate() string { return k.prefix + "rate" }

// hold lives as long as all calls to Seam are held back.
func (k keys) hold() string { return k.prefix + "hold" }

// probe is written to find out whether writes are taken.
func (k keys) probe() string { return k.prefix + "probe" }
