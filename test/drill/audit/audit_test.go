package audit_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"userrelay/local/realkafka"
	"userrelay/test/drill/audit"
)

func at(partition int32, offset int64, id string) realkafka.Record {
	return realkafka.Record{Partition: partition, Offset: offset, Headers: []realkafka.Header{
		{Key: "other", Value: []byte("x")}, {Key: "ce_id", Value: []byte(id)},
	}}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	in := func(partition int32, offset int64) audit.Outcome {
		return audit.Outcome{ID: "a", Status: 200, Place: audit.Place{Partition: partition, Offset: offset}}
	}
	is := func(status int) audit.Outcome { return audit.Outcome{ID: "a", Status: status} }
	for name, c := range map[string]struct {
		outcome audit.Outcome
		log     []realkafka.Record
		want    audit.Report
	}{
		"in Kafka":                  {in(1, 7), []realkafka.Record{at(1, 7, "a")}, audit.Report{Stored: 1}},
		"in Kafka, and lost":        {in(1, 7), nil, audit.Report{Stored: 1, Lost: []string{"a"}}},
		"at another offset":         {in(1, 7), []realkafka.Record{at(1, 8, "a")}, audit.Report{Stored: 1, Elsewhere: 1}},
		"in another partition":      {in(1, 7), []realkafka.Record{at(0, 7, "a")}, audit.Report{Stored: 1, Elsewhere: 1}},
		"a copy":                    {in(1, 7), []realkafka.Record{at(1, 3, "a"), at(1, 7, "a")}, audit.Report{Stored: 1, Copies: 1}},
		"from the outbox":           {is(202), []realkafka.Record{at(1, 7, "a")}, audit.Report{Stored: 1}},
		"from the outbox, twice":    {is(202), []realkafka.Record{at(1, 7, "a"), at(1, 9, "a"), at(1, 10, "a")}, audit.Report{Stored: 1, Copies: 2}},
		"in the outbox, and lost":   {is(202), nil, audit.Report{Stored: 1, Lost: []string{"a"}}},
		"refused":                   {is(503), nil, audit.Report{}},
		"refused, and there":        {is(503), []realkafka.Record{at(1, 7, "a")}, audit.Report{Unanswered: 1}},
		"not answered, there twice": {is(0), []realkafka.Record{at(1, 7, "a"), at(1, 8, "a")}, audit.Report{Unanswered: 1, Copies: 1}},
		"another 2xx is no promise": {is(204), nil, audit.Report{}},
		"somebody else's":           {is(503), []realkafka.Record{at(1, 7, "b"), at(1, 8, "b")}, audit.Report{Foreign: 2}},
		"without an id":             {is(503), []realkafka.Record{{}}, audit.Report{Foreign: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.want.Requests, c.want.Status = 1, map[int]int{c.outcome.Status: 1}
			if diff := cmp.Diff(&c.want, audit.Compare([]audit.Outcome{c.outcome}, c.log)); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCounts(t *testing.T) {
	t.Parallel()
	var outcomes []audit.Outcome
	for i, status := range []int{200, 202, 0, 400, 500, 503, 503} {
		outcomes = append(outcomes, audit.Outcome{ID: string(rune('a' + i)), Status: status})
	}
	got := audit.Compare(outcomes, []realkafka.Record{at(0, 0, "a"), at(0, 1, "b"), at(0, 2, "b"), at(0, 3, "c"), at(0, 4, "c")}).String()
	const want = "7 events: 1 answered 200, 1 202, 4 otherwise, 1 not at all; 0 lost, 2 copies, 1 stored but not answered so"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
