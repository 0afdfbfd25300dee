package cli

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

func TestTablesAlignAndColourOnlyWhereAsked(t *testing.T) {
	rows := [][]cell{
		{{"1-0", plain}, {"tagged", green}, {"jané\x1b[2J", plain}},
		{{"22-0", plain}, {"dead", red}, {"", faint}},
	}
	for name, tt := range map[string]struct {
		json, colour bool
		want         string
	}{
		"plain": {want: "ID    STATUS  ACCOUNT\n1-0   tagged  jané·[2J\n22-0  dead    \n"},
		"colour": {colour: true, want: "\x1b[1mID\x1b[0m    \x1b[1mSTATUS\x1b[0m  \x1b[1mACCOUNT\x1b[0m\n" +
			"1-0   \x1b[32mtagged\x1b[0m  jané·[2J\n22-0  \x1b[31mdead\x1b[0m    \n"},
		"json": {json: true, want: "{\"n\":0}\n{\"n\":1}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			table := (&output{w: &b, json: tt.json, colour: tt.colour}).table("ID", "STATUS", "ACCOUNT")
			for n, row := range rows {
				if err := table.add(map[string]int{"n": n}, append([]cell{}, row...)...); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(table.flush(), table.flush()); err != nil || b.String() != tt.want {
				t.Errorf("%v\n%q, want\n%q", err, b.String(), tt.want)
			}
		})
	}
}

func TestATableThatGoesOnHasOneHeading(t *testing.T) {
	var b bytes.Buffer
	table := (&output{w: &b}).table("ID", "")
	for _, id := range []string{"1", "1000"} {
		if err := errors.Join(table.add(nil, cells(id, "x")...), table.flush()); err != nil {
			t.Fatal(err)
		}
	}
	if want := "ID  \n1   x\n1000  x\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

func TestNoColourOffATerminal(t *testing.T) {
	var b bytes.Buffer
	if o := newOutput(Process{Stdout: &b}, false); o.colour {
		t.Error("colour into a buffer")
	}
}

func TestProgressSaysHowFarAndHowLong(t *testing.T) {
	var b bytes.Buffer
	now := time.Unix(0, 0)
	g := &progress{w: &b, now: func() time.Time { return now }, began: now}
	now = now.Add(10 * time.Second)
	g.show("replayed", 100, 400)
	g.show("replayed", 101, 400) // too soon after the last
	now = now.Add(time.Second)
	g.show("found", 22, 0)
	g.done()
	const begin = "\r\x1b[K"
	if want := begin + "replayed: 100 of 400 (25%), 10/s, 30s left" + begin + "found: 22, 2/s" + begin; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
	silent := newProgress(Process{Stderr: &b})
	b.Reset()
	silent.show("replayed", 1, 1)
	silent.done()
	if b.Len() > 0 {
		t.Errorf("%q off a terminal", b.String())
	}
}

func TestPlural(t *testing.T) {
	if got := plural(1, "event") + ", " + plural(0, "event"); got != "1 event, 0 events" {
		t.Error(got)
	}
}
