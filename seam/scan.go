package seam

import (
	"bytes"
	"encoding/json"
	"slices"
)

// member is one member of a JSON object, its value as it is written.
type member struct{ name, value []byte }

// members are those of one JSON object, none of them decoded: to read a few words of an event costs a third of decoding it
// into a map.
type members []member

// scanObject splits one JSON object, appending to room; false where data is anything else. The members share data.
func scanObject(data []byte, room members) (members, bool) {
	if !json.Valid(data) {
		return nil, false
	}
	s := scanner{data: data}
	if s.next() != '{' {
		return nil, false
	}
	s.at++
	for s.next() != '}' {
		if s.data[s.at] == ',' {
			s.at++
			s.next()
		}
		name := unquote(s.value())
		s.next()
		s.at++ // the colon
		s.next()
		room = append(room, member{name, s.value()})
	}
	return room, true
}

// get is the value of a name; the last one counts where it is there twice, as with encoding/json. Absent and null are nil.
func (m members) get(name string) []byte {
	for _, one := range slices.Backward(m) {
		if string(one.name) == name {
			if string(one.value) == "null" {
				return nil
			}
			return one.value
		}
	}
	return nil
}

// unquote is the text of a JSON string; it shares the string's memory where there is nothing to unescape.
func unquote(quoted []byte) []byte {
	plain := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(plain, '\\') < 0 {
		return plain
	}
	var text string
	_ = json.Unmarshal(quoted, &text) // a valid JSON string
	return []byte(text)
}

// scanner walks over JSON that is known to be valid.
type scanner struct {
	data []byte
	at   int
}

// next skips white space and answers the byte it then stands at.
func (s *scanner) next() byte {
	for {
		switch c := s.data[s.at]; c {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return c
		}
	}
}

// value takes the value that begins here.
func (s *scanner) value() []byte {
	from, depth := s.at, 0
	for {
		switch s.data[s.at] {
		case '"':
			s.skipString()
		case '{', '[':
			depth++
			s.at++
		case '}', ']':
			depth--
			s.at++
		case ',', ':', ' ', '\t', '\r', '\n':
			s.at++
		default:
			s.skipLiteral()
		}
		if depth == 0 {
			return s.data[from:s.at]
		}
	}
}

func (s *scanner) skipString() {
	for s.at++; s.data[s.at] != '"'; s.at++ {
		if s.data[s.at] == '\\' {
			s.at++
		}
	}
	s.at++
}

// skipLiteral skips a number, true, false or null, which end before a byte that belongs to none of them.
func (s *scanner) skipLiteral() {
	for ; ; s.at++ {
		switch s.data[s.at] {
		case ',', '}', ']', ' ', '\t', '\r', '\n':
			return
		}
	}
}
