package metadata

// Description is what rules say, for whoever wrote them.
type Description struct {
	Copy    []string            `json:"copy"`
	Tags    []TagDescription    `json:"tags"`
	Lookups []LookupDescription `json:"lookups"` // those that are asked, each after those that it takes from
	Notes   []string            `json:"notes"`   // what is allowed and yet probably not meant
}

// TagDescription is one tag.
type TagDescription struct {
	Key        string   `json:"key"`
	Expression string   `json:"expression"`
	Lookups    []string `json:"lookups"` // that the expression names
}

// LookupDescription is one lookup.
type LookupDescription struct {
	Name    string   `json:"name"`
	System  string   `json:"system"`
	Params  []string `json:"params"`
	Missing Missed   `json:"missing"`
}

// Describe tells what the rules say. Its lists are never nil.
func (r *Rules) Describe() Description {
	d := Description{Copy: []string{}, Tags: []TagDescription{}, Lookups: []LookupDescription{}, Notes: append([]string{}, r.notes...)}
	for _, c := range r.copies {
		d.Copy = append(d.Copy, c.source)
	}
	for _, t := range r.tags {
		d.Tags = append(d.Tags, TagDescription{Key: t.key, Expression: t.source, Lookups: append([]string{}, t.lookups...)})
	}
	for i := range r.lookups {
		l := &r.lookups[i]
		one := LookupDescription{Name: l.name, System: l.system, Params: []string{}, Missing: l.missing}
		for _, p := range l.params {
			one.Params = append(one.Params, p.source)
		}
		d.Lookups = append(d.Lookups, one)
	}
	return d
}
