package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"userrelay/handler/delivery"
)

func TestClassOf(t *testing.T) {
	t.Parallel()
	throttled := &delivery.Error{Class: delivery.Throttled, Op: "produce", Err: errors.New("cause")}
	for _, c := range []struct {
		err  error
		want delivery.Class
	}{
		{nil, ""},
		{throttled, delivery.Throttled},
		{fmt.Errorf("deliver: %w", throttled), delivery.Throttled},
		{errors.Join(errors.New("close"), throttled), delivery.Throttled},
		{&delivery.Error{Class: delivery.Unavailable, Op: "deliver", Err: throttled}, delivery.Unavailable}, // the outer one
		{context.DeadlineExceeded, delivery.Fatal},
		{&delivery.Error{Class: delivery.Invalid, Op: "produce"}, delivery.Invalid},
		{&delivery.Error{Op: "produce"}, ""},
	} {
		if got := delivery.ClassOf(c.err); got != c.want {
			t.Errorf("class of %v = %q, want %q", c.err, got, c.want)
		}
	}
}

func TestErrorTellsOperationAndClassOnly(t *testing.T) {
	t.Parallel()
	cause := errors.New("broker b-1.example.com:9093 said: user jane has no right")
	err := fmt.Errorf("deliver: %w", &delivery.Error{Class: delivery.NotAuthorized, Op: "produce", Err: cause})
	if got, want := err.Error(), "deliver: produce: not-authorized"; got != want {
		t.Errorf("error = %q, want %q", got, want)
	}
	if !errors.Is(err, cause) {
		t.Error("the cause is lost")
	}
}
