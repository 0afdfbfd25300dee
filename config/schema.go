package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Schema is the JSON Schema (2020-12) of the rules file, made of the structs that read it. Editors complete and check with
// it what the reader demands.
func Schema() []byte {
	s := objectSchema(reflect.ValueOf(defaultRules()))
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "seamtag.yaml"
	s["description"] = "Rules of seamtag: what the custom_metadata of connected accounts is to be."
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(s); err != nil {
		panic("config: a schema that is not JSON") // strings, numbers and maps of them
	}
	return b.Bytes()
}

type schema = map[string]any

const (
	typeKey  = "type"
	textType = "string"
)

// objectSchema is a struct; what it holds are the defaults.
func objectSchema(value reflect.Value) schema {
	properties, required := schema{}, []string{}
	for _, f := range fieldsOf(value.Type()) {
		p := valueSchema(value.Field(f.index), f.tag)
		p["description"] = f.tag.Get("doc")
		properties[f.name] = p
		if f.tag.Get("need") == yes {
			required = append(required, f.name)
		}
	}
	s := schema{typeKey: "object", "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		s["required"] = required
	}
	switch value.Type() {
	case reflect.TypeFor[Lookup]():
		s["oneOf"] = oneRequired("sql", "http", "redis", "table")
	case reflect.TypeFor[Redis]():
		s["oneOf"] = oneRequired("hash", "string", "json")
	}
	return s
}

func oneRequired(names ...string) []schema {
	list := make([]schema, len(names))
	for i, name := range names {
		list[i] = schema{"required": []string{name}}
	}
	return list
}

func valueSchema(value reflect.Value, tag reflect.StructTag) schema {
	switch v := value.Interface().(type) {
	case Text, Template:
		return schema{typeKey: textType, "minLength": 1}
	case Expression:
		return schema{typeKey: []string{textType, "number", "boolean"}}
	case Duration:
		return durationSchema(time.Duration(v))
	case Duration0:
		return durationSchema(time.Duration(v))
	}
	switch value.Kind() {
	case reflect.Pointer:
		return objectSchema(reflect.New(value.Type().Elem()).Elem())
	case reflect.Struct:
		return objectSchema(value)
	case reflect.Slice:
		return listSchema(value.Type().Elem(), tag)
	case reflect.Int:
		return numberSchema(value.Int(), tag)
	case reflect.Bool:
		return schema{typeKey: "boolean", "default": value.Bool()}
	default:
		return choiceSchema(value.String(), strings.Fields(tag.Get("oneof")))
	}
}

func durationSchema(preset time.Duration) schema {
	s := schema{typeKey: []string{textType, "integer"}, "examples": []string{"30s", "5m", "24h"}}
	if preset != 0 {
		s["default"] = preset.String()
	}
	return s
}

// listSchema is a list, or a map of free names where the items have one. Null is an empty one.
func listSchema(item reflect.Type, tag reflect.StructTag) schema {
	if !isItem(item) {
		return schema{typeKey: []string{"array", "null"}, "items": valueSchema(reflect.New(item).Elem(), tag)}
	}
	field, _ := item.FieldByName("Value")
	value := reflect.New(field.Type).Elem()
	if field.Type == reflect.TypeFor[Lookup]() {
		value = reflect.ValueOf(defaultLookup())
	}
	return schema{typeKey: []string{"object", "null"}, "additionalProperties": valueSchema(value, tag)}
}

func numberSchema(preset int64, tag reflect.StructTag) schema {
	s := schema{typeKey: "integer"}
	for key, name := range map[string]string{"min": "minimum", "max": "maximum"} {
		n, err := strconv.Atoi(tag.Get(key))
		if err != nil {
			panic(fmt.Sprintf("config: %s of a number in the rules: %v", key, err))
		}
		s[name] = n
	}
	if preset != 0 {
		s["default"] = preset
	}
	return s
}

func choiceSchema(preset string, words []string) schema {
	s := schema{typeKey: textType, "enum": words}
	if preset != "" {
		s["default"] = preset
	}
	return s
}
