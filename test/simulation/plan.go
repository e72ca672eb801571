package simulation

import (
	"fmt"
	"time"
)

// Plan describes everything in a run that the program under test does not do itself. The same plan gives the same run.
// Shrinking removes calls and faults from it.
type Plan struct {
	Seed   uint64
	Setup  Setup
	Calls  []Call
	Faults []Fault
}

// Setup is the environment.
type Setup struct {
	Hosts      int    // instances of the app
	Split      bool   // as on Flex Consumption: the last one drains, the others take registrations
	NoTrigger  bool   // the queue trigger is switched off
	Brokers    int    // of the cluster
	Partitions int    // of the topic
	TLS        bool   // to the brokers
	Login      string // "", PLAIN, SCRAM-SHA-256, OAUTHBEARER
	Telemetry  bool   // items are sent
	Profile    bool   // records hold the profile
	Health     bool   // the handlers' health is requested now and then, which makes them check Kafka
	BriefLease bool   // the trigger's messages become visible after 20 s and not after 10 minutes
}

// Call is a caller that registers a user, and repeats the request until it is answered 2xx.
type Call struct {
	At      time.Duration
	Host    int // to which it sends first
	Form    Form
	Tenant  string
	User    string
	EventID string        // "": the function derives it
	Created int           // distinguishes registrations of the same user
	Tries   int           // maximum number of attempts
	Again   bool          // once more after a 2xx, like a caller that did not get the answer
	Other   bool          // a repeat goes to the next host
	Pause   time.Duration // between two tries
	Twice   bool          // every attempt is two concurrent requests
	Leaves  time.Duration // after this it hangs up, where it is not 0
	Profile int           // bytes of it
}

// Form is the form of a registration.
type Form string

// The forms.
const (
	FormKey   Form = "key"   // {"userId": …}, the event id as Idempotency-Key
	FormPlain Form = "plain" // {"userId": …}, the event id as eventId
	FormUser  Form = "user"  // Auth0's event.user
	FormCloud Form = "cloud" // a CloudEvent
)

// Fault is a fault that begins at At and lasts For.
type Fault struct {
	At, For time.Duration
	Kind    Kind
	Node    int // host, broker or partition, depending on the kind
	Code    int // of several ways of the kind
}

func (f Fault) String() string {
	return fmt.Sprintf("%v+%v %s %d %d", f.At, f.For, f.Kind, f.Node, f.Code)
}

// Kind is the kind of a fault.
type Kind string

// The kinds. A host means its machine.
const (
	Cut         Kind = "cut"          // a host's connections to Kafka are cut, those with a request under way too
	NextBefore  Kind = "next-before"  // every other Produce request: cut before anything is sent
	NextMiddle  Kind = "next-middle"  // … when half of it is sent
	NextAfter   Kind = "next-after"   // … all of it, and the answer is lost
	NextHalf    Kind = "next-half"    // … and half of the answer comes
	Refuse      Kind = "refuse"       // a host cannot connect to Kafka
	Silence     Kind = "silence"      // nothing comes through between a host and a broker; it arrives late
	BlackHole   Kind = "black-hole"   // the same, and it never arrives
	Slow        Kind = "slow"         // more time for each message
	SlowStore   Kind = "slow-store"   // so many milliseconds, by its code, until records are acknowledged; only where a plan names it
	CodeBefore  Kind = "code-before"  // a partition answers an error code and stores nothing
	CodeAfter   Kind = "code-after"   // … and has stored it
	CodeInit    Kind = "code-init"    // a producer id is refused
	CodeLook    Kind = "code-look"    // metadata are refused
	Move        Kind = "move"         // a partition has another leader
	Restart     Kind = "restart"      // a broker is away
	Renumber    Kind = "renumber"     // a broker comes back with another id
	Replace     Kind = "replace"      // another cluster takes the addresses
	Remake      Kind = "remake"       // the topic is deleted, and made again with fewer partitions
	Limit       Kind = "limit"        // the topic accepts only small records
	Queue500    Kind = "queue-500"    // the queue answers 500 and does nothing
	Queue503    Kind = "queue-503"    // … 503
	QueueLost   Kind = "queue-lost"   // the queue does it, and the answer is lost
	QueueRefuse Kind = "queue-refuse" // no connection to the queue
	QueueSilent Kind = "queue-silent" // the queue says nothing
	QueueSlow   Kind = "queue-slow"   // the queue takes its time
	Kill        Kind = "kill"         // a handler is killed, and started again at the end
	KillAt      Kind = "kill-at"      // … at a step of its work
	KillHost    Kind = "kill-host"    // … and its host with it
	Stop        Kind = "stop"         // a handler is told to end, and started again
	Token       Kind = "token"        // there are no tokens
	Ingest      Kind = "ingest"       // telemetry is not taken
	Clock       Kind = "clock"        // the wall clock of a host jumps by seconds, minutes or a day
)

// Kinds returns all kinds.
func Kinds() []Kind {
	return []Kind{
		Cut, NextBefore, NextMiddle, NextAfter, NextHalf, Refuse, Silence, BlackHole, Slow, CodeBefore, CodeAfter, CodeInit,
		CodeLook, Move, Restart, Renumber, Replace, Remake, Limit, Queue500, Queue503, QueueLost, QueueRefuse, QueueSilent,
		QueueSlow, Kill, KillAt, KillHost, Stop, Token, Ingest, Clock,
	}
}

// steps at which a handler can be killed.
func steps() []string {
	return []string{
		"produce-sent", "produce-answered", "put-sent", "put-answered", "take-sent", "take-answered", "delete-sent", "delete-answered",
		"update-sent", "update-answered",
	}
}
