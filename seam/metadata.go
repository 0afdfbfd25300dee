package seam

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
)

// Metadata is a custom_metadata object. Seam takes strings (at most 500 characters) and booleans; what else it
// answers is kept verbatim: nil, json.Number, nested values.
type Metadata map[string]any

// Clone returns a copy that shares no top-level entry with m. The clone of nil is nil.
func (m Metadata) Clone() Metadata { return maps.Clone(m) }

// UnmarshalJSON reads an object and keeps numbers as json.Number, so that writing them back changes no digit.
// A JSON null gives nil; any other kind is an error that does not quote the input.
func (m *Metadata) UnmarshalJSON(data []byte) error {
	var object map[string]any
	if err := decodeNumbers(data, &object); err != nil {
		return errors.New("custom_metadata is not an object")
	}
	*m = object
	return nil
}

// metadataOf returns the object below key: empty when the key is absent or null, false when it is something else.
func metadataOf(object map[string]any, key string) (Metadata, bool) {
	switch v := object[key].(type) {
	case nil:
		return Metadata{}, true
	case map[string]any:
		return Metadata(v).Clone(), true // apart from Raw, so that changing one leaves the other
	default:
		return nil, false
	}
}

// decodeNumbers is json.Unmarshal with numbers kept as json.Number.
func decodeNumbers(data []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("decode JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errTrailing
	}
	return nil
}
