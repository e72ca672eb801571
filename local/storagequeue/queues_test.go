package storagequeue_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Part of TestConformance: queues.

func (s target) testQueues(t *testing.T) {
	t.Parallel()
	q := s.service(t).NewQueueClient("comes-and-goes")
	var res *http.Response
	red := &azqueue.CreateOptions{Metadata: map[string]*string{"colour": new("red")}}
	blue := &azqueue.CreateOptions{Metadata: map[string]*string{"colour": new("blue")}}
	for _, step := range []struct {
		what, want string
		call       func(context.Context) error
	}{
		{"delete what is not there", "404 QueueNotFound", func(ctx context.Context) error { _, err := q.Delete(ctx, nil); return err }},
		{"create", "201", func(ctx context.Context) error { _, err := q.Create(ctx, red); return err }},
		{"again", "204", func(ctx context.Context) error { _, err := q.Create(ctx, red); return err }},
		{"with other metadata", "409 QueueAlreadyExists", func(ctx context.Context) error { _, err := q.Create(ctx, blue); return err }},
		{"without metadata", "409 QueueAlreadyExists", func(ctx context.Context) error { _, err := q.Create(ctx, nil); return err }},
		{"set metadata", "204", func(ctx context.Context) error {
			_, err := q.SetMetadata(ctx, &azqueue.SetMetadataOptions{Metadata: blue.Metadata})
			return err
		}},
		{"create as it is now", "204", func(ctx context.Context) error { _, err := q.Create(ctx, blue); return err }},
		{"put", "201", func(ctx context.Context) error { _, err := q.EnqueueMessage(ctx, "x", nil); return err }},
		{"delete", "204", func(ctx context.Context) error { _, err := q.Delete(ctx, nil); return err }},
		{"delete again", "404 QueueNotFound", func(ctx context.Context) error { _, err := q.Delete(ctx, nil); return err }},
		{"create after all", "201", func(ctx context.Context) error { _, err := q.Create(ctx, nil); return err }},
	} {
		want(t, step.what, step.want, res, step.call(capture(t, &res)))
	}
	if n := count(t, q); n != 0 {
		t.Errorf("%d messages outlived their queue", n)
	}
}

func (s target) testNoQueue(t *testing.T) {
	t.Parallel()
	q := s.service(t).NewQueueClient("nowhere")
	ctx, id := t.Context(), "c9d9b0a5-1f1e-4a7e-9d0b-3a1f0f6a7b11"
	calls := map[string]func() error{
		"metadata":     func() error { _, err := q.GetProperties(ctx, nil); return err },
		"set metadata": func() error { _, err := q.SetMetadata(ctx, nil); return err },
		"put":          func() error { _, err := q.EnqueueMessage(ctx, "x", nil); return err },
		"get":          func() error { _, err := q.DequeueMessages(ctx, nil); return err },
		"peek":         func() error { _, err := q.PeekMessages(ctx, nil); return err },
		"update":       func() error { _, err := q.UpdateMessage(ctx, id, "cmVjZWlwdA==", "x", nil); return err },
		"delete":       func() error { _, err := q.DeleteMessage(ctx, id, "cmVjZWlwdA==", nil); return err },
		"clear":        func() error { _, err := q.ClearMessages(ctx, nil); return err },
	}
	for what, call := range calls {
		want(t, what, "404 QueueNotFound", nil, call())
	}
}

func (s target) testQueueNames(t *testing.T) {
	t.Parallel()
	service := s.service(t)
	for name, outcome := range map[string]string{
		"abc": "201", "123": "201", "a-b-c": "201", strings.Repeat("a", 63): "201", "userrelay-outbox-poison": "201",
		"ab": "400 OutOfRangeInput", strings.Repeat("a", 64): "400 OutOfRangeInput",
		"Outbox": "400 InvalidResourceName", "a--b": "400 InvalidResourceName", "-ab": "400 InvalidResourceName",
		"ab-": "400 InvalidResourceName", "a_b": "400 InvalidResourceName", "a.b": "400 InvalidResourceName",
		"größe": "400 InvalidResourceName",
	} {
		var res *http.Response
		_, err := service.CreateQueue(capture(t, &res), name, nil)
		want(t, "create "+name, outcome, res, err)
	}
}

func (s target) testListQueues(t *testing.T) {
	t.Parallel()
	service := s.service(t)
	for _, name := range []string{"list-a", "list-b", "list-c", "list-d", "list-e", "other"} {
		o := &azqueue.CreateOptions{Metadata: map[string]*string{"named": new(name)}}
		if _, err := service.CreateQueue(t.Context(), name, o); err != nil {
			t.Fatal(err)
		}
	}
	var pages [][]string
	pager := service.NewListQueuesPager(&azqueue.ListQueuesOptions{
		Prefix: new("list-"), MaxResults: new(int32(2)), Include: azqueue.ListQueuesInclude{Metadata: true},
	})
	for pager.More() {
		page, err := pager.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, q := range page.Queues {
			names = append(names, *q.Name)
			if q.Metadata["named"] == nil || *q.Metadata["named"] != *q.Name {
				t.Errorf("queue %s has lost its metadata", *q.Name)
			}
		}
		pages = append(pages, names)
		if *page.ServiceEndpoint != s.url {
			t.Errorf("service endpoint %s, want %s", *page.ServiceEndpoint, s.url)
		}
	}
	if diff := cmp.Diff([][]string{{"list-a", "list-b"}, {"list-c", "list-d"}, {"list-e"}}, pages); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
}

func (s target) testMetadata(t *testing.T) {
	t.Parallel()
	q := s.queue(t)
	for _, values := range []map[string]*string{
		{"one": new("1"), "two_2": new("a b, c=d")}, {"two_2": new("3")}, nil,
	} {
		if _, err := q.SetMetadata(t.Context(), &azqueue.SetMetadataOptions{Metadata: values}); err != nil {
			t.Fatal(err)
		}
		res, err := q.GetProperties(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[string]*string)
		for name, value := range res.Metadata {
			got[strings.ToLower(name)] = value
		}
		if diff := cmp.Diff(values, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("metadata (-want +got):\n%s", diff)
		}
	}
}
