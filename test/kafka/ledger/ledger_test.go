package ledger_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/delivery"
	"userrelay/local/realkafka"
	"userrelay/test/kafka/ledger"
)

func at(partition int32, offset int64, id string) realkafka.Record {
	return realkafka.Record{
		Partition: partition, Offset: offset,
		Headers: []realkafka.Header{{Key: "other", Value: []byte("x")}, {Key: ledger.IDHeader, Value: []byte(id)}},
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	type note struct {
		partition int
		offset    int64
		class     delivery.Class // "" stored
	}
	const stored, unknown, refused = "", delivery.UnknownOutcome, delivery.Unavailable
	for name, c := range map[string]struct {
		notes  []note // of one record
		log    []realkafka.Record
		want   ledger.Report
		broken bool
	}{
		"stored once":                 {[]note{{1, 7, stored}}, []realkafka.Record{at(1, 7, "id")}, ledger.Report{Acknowledged: 1}, false},
		"lost":                        {[]note{{1, 7, stored}}, nil, ledger.Report{Acknowledged: 1}, true},
		"at another offset":           {[]note{{1, 7, stored}}, []realkafka.Record{at(1, 8, "id")}, ledger.Report{Acknowledged: 1}, true},
		"in another partition":        {[]note{{1, 7, stored}}, []realkafka.Record{at(0, 7, "id")}, ledger.Report{Acknowledged: 1}, true},
		"a copy":                      {[]note{{1, 7, stored}}, []realkafka.Record{at(1, 7, "id"), at(1, 8, "id")}, ledger.Report{Acknowledged: 1, Copies: 1}, true},
		"the same place twice":        {[]note{{1, 7, stored}, {1, 7, stored}}, []realkafka.Record{at(1, 7, "id")}, ledger.Report{Acknowledged: 1}, true},
		"refused":                     {[]note{{0, 0, refused}}, nil, ledger.Report{Refused: 1}, false},
		"refused and there":           {[]note{{0, 0, refused}}, []realkafka.Record{at(0, 0, "id")}, ledger.Report{Refused: 1}, true},
		"unknown, there":              {[]note{{0, 0, unknown}}, []realkafka.Record{at(0, 0, "id")}, ledger.Report{Unknown: 1, UnknownStored: 1}, false},
		"unknown, not there":          {[]note{{0, 0, unknown}}, nil, ledger.Report{Unknown: 1}, false},
		"unknown, there twice":        {[]note{{0, 0, unknown}}, []realkafka.Record{at(0, 0, "id"), at(0, 1, "id")}, ledger.Report{Unknown: 1, UnknownStored: 1, Copies: 1}, true},
		"stored after unknown":        {[]note{{0, 0, unknown}, {0, 1, stored}}, []realkafka.Record{at(0, 0, "id"), at(0, 1, "id")}, ledger.Report{Acknowledged: 1, Copies: 1}, false},
		"stored after refused":        {[]note{{0, 0, refused}, {0, 0, stored}}, []realkafka.Record{at(0, 0, "id")}, ledger.Report{Acknowledged: 1}, false},
		"stored after refused, twice": {[]note{{0, 0, refused}, {0, 0, stored}}, []realkafka.Record{at(0, 0, "id"), at(0, 1, "id")}, ledger.Report{Acknowledged: 1, Copies: 1}, true},
		"of nobody":                   {[]note{{0, 0, stored}}, []realkafka.Record{at(0, 0, "id"), at(0, 1, "other")}, ledger.Report{Acknowledged: 1}, true},
		"without an id":               {[]note{{0, 0, stored}}, []realkafka.Record{at(0, 0, "id"), {Offset: 1}}, ledger.Report{Acknowledged: 1}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var l ledger.Ledger
			for _, n := range c.notes {
				var err error
				if n.class != stored {
					err = &delivery.Error{Class: n.class, Op: "produce", Err: errors.New("cause")}
				}
				l.Note(ledger.Record("id"), delivery.RecordMetadata{Partition: n.partition, Offset: n.offset}, err)
			}
			got, err := l.Compare(c.log)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
			if (err != nil) != c.broken {
				t.Errorf("error = %v", err)
			}
		})
	}
}
