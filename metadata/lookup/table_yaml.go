package lookup

import (
	"errors"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// readYAML decodes the file as a whole, so that anchors work, and takes lines and keys from its syntax tree.
func readYAML(data []byte, key string) ([]record, error) {
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, yamlError(err)
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return nil, errTableShape
	}
	switch body := file.Docs[0].Body.(type) {
	case *ast.SequenceNode:
		return yamlList(data, body, key)
	case *ast.MappingNode:
		return yamlObject(data, body)
	default:
		return nil, errTableShape
	}
}

func yamlList(data []byte, list *ast.SequenceNode, key string) ([]record, error) {
	var rows []any
	if err := yaml.Unmarshal(data, &rows); err != nil {
		return nil, yamlError(err)
	}
	if len(rows) != len(list.Values) {
		return nil, errTableShape
	}
	records := make([]record, 0, len(rows))
	for i, value := range rows {
		line := lineOf(list.Values[i])
		row, ok := value.(map[string]any)
		if !ok {
			return nil, &rowError{line, notAnObject}
		}
		found, err := keyOf(row, key, line)
		if err != nil {
			return nil, err
		}
		if written := writtenNumber(list.Values[i], key); written != "" {
			found = written
		}
		records = append(records, record{found, line, plain(row)})
	}
	return records, nil
}

func yamlObject(data []byte, object *ast.MappingNode) ([]record, error) {
	records, err := yamlNames(object)
	if err != nil {
		return nil, err
	}
	// Found here first, because the decoder's words for it repeat the key.
	if _, err := index(records); err != nil {
		return nil, err
	}
	// Ordered, and keys as they are written: a map would read the key 007 as 7.
	var rows yaml.MapSlice
	if err := yaml.Unmarshal(data, &rows); err != nil {
		return nil, yamlError(err)
	}
	if len(rows) != len(records) {
		return nil, errTableShape
	}
	for i := range records {
		row, ok := rows[i].Value.(map[string]any)
		if !ok {
			return nil, &rowError{records[i].line, notAnObject}
		}
		records[i].row = plain(row)
	}
	return records, nil
}

// yamlNames are the rows' keys as the file writes them, with their lines.
func yamlNames(object *ast.MappingNode) ([]record, error) {
	records := make([]record, 0, len(object.Values))
	for _, member := range object.Values {
		line := member.Key.GetToken().Position.Line
		if member.Key.IsMergeKey() {
			return nil, &rowError{line, "a merge key cannot stand between rows"}
		}
		records = append(records, record{key: member.Key.GetToken().Value, line: line})
	}
	return records, nil
}

// plain brings numbers to the kinds that all lookups answer with.
func plain(row map[string]any) map[string]any {
	for name, value := range row {
		if narrow, ok := scalar(value); ok {
			row[name] = narrow
		}
	}
	return row
}

// writtenNumber is a key as the file writes it when YAML reads a number: 007 stays 007.
func writtenNumber(row ast.Node, key string) string {
	object, ok := row.(*ast.MappingNode)
	if !ok {
		return ""
	}
	for _, member := range object.Values {
		if member.Key.GetToken().Value != key {
			continue
		}
		switch member.Value.(type) {
		case *ast.IntegerNode, *ast.FloatNode:
			return member.Value.GetToken().Value
		}
	}
	return ""
}

func lineOf(node ast.Node) int { return node.GetToken().Position.Line }

// yamlError keeps the line; the parser's own text repeats the file.
func yamlError(err error) error {
	if syntaxErr, ok := errors.AsType[yaml.Error](err); ok && syntaxErr.GetToken() != nil {
		return &rowError{syntaxErr.GetToken().Position.Line, "not valid YAML, or a name given twice"}
	}
	return errors.New("not valid YAML")
}
