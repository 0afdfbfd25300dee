package queue

import (
	"strconv"
	"strings"
	"time"
)

// messageOf reads a log entry's fields, as publish.lua writes them.
func messageOf(fields map[string]string) Message {
	return Message{
		ID: fields["message_id"], EventID: fields["event_id"], Type: fields["type"], Workspace: fields["workspace"],
		Key: fields["key"], Webview: fields["webview"], Body: []byte(fields["body"]), ReceivedAt: millis(fields["received_at"]),
		Trace: fields["trace"],
	}
}

// fieldsOf turns the flat list that scripts answer into a map.
func fieldsOf(flat any) map[string]string {
	list, ok := flat.([]any)
	if !ok {
		return nil
	}
	m := make(map[string]string, len(list)/2)
	for i := 0; i+1 < len(list); i += 2 {
		name, _ := list[i].(string)
		m[name], _ = list[i+1].(string)
	}
	return m
}

// arrival is the time in an entry's id.
func arrival(id string) time.Time {
	ms, _, _ := strings.Cut(id, "-")
	n, err := strconv.ParseInt(ms, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(n)
}
