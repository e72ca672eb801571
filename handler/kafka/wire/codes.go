package wire

import (
	"strconv"

	"userrelay/handler/delivery"
)

// Code is an error code of a broker's answer (Kafka protocol guide, "Error Codes").
type Code int16

// Codes with a special treatment.
const (
	CodeNone                 Code = 0
	CodeUnknownTopic         Code = 3
	codeCoordinatorLoading   Code = 14
	codeTopicAuthorization   Code = 29
	codeClusterAuthorization Code = 31
	CodeDuplicateSequence    Code = 46
	codeAuthenticationFailed Code = 58
	CodeListenerNotFound     Code = 72
)

func (c Code) Error() string { return "Kafka error " + strconv.Itoa(int(c)) + " " + RowOf(c).name }

// Traits are properties of a code besides its class.
type Traits int

// The traits.
const (
	// NotStored says that the broker checks this before it appends: this attempt has certainly not stored the batch.
	// Without this trait the batch may be stored: a leader that has appended a batch and waits for its replicas
	// answers NOT_LEADER_OR_FOLLOWER or UNKNOWN_TOPIC_OR_PARTITION if it stops leading in the meantime (DelayedProduce
	// in Kafka's source).
	NotStored Traits = 1 << iota
	// Stale says that metadata are out of date (InvalidMetadataException in Kafka's Java client).
	Stale
	// Spent says that the broker does not accept the producer id any more.
	Spent
	// OneRecord says that one record may be the cause: if the batch is split, one half may be stored.
	OneRecord
)

// Row is the entry of a code in the table.
type Row struct {
	code   Code
	Class  delivery.Class
	traits Traits
	name   string // in the protocol guide
	advice string // for an operator; "": by class
}

// Is says whether the code has a trait.
func (r Row) Is(t Traits) bool { return r.traits&t != 0 }

const (
	adviceLogin     = "the broker refuses the login; see KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD, or the token's audience and rights"
	adviceMechanism = "the broker does not offer this login; see KAFKA_SASL_MECHANISM and KAFKA_SECURITY_PROTOCOL"
	adviceNoLogin   = "the broker's port expects no login; see KAFKA_SECURITY_PROTOCOL and KAFKA_SASL_MECHANISM"
	// AdviceListener is the advice for partitions whose leader is alive but has no listener of the kind that was used.
	AdviceListener = "the leader has no listener of the kind that answered; see the brokers' advertised.listeners"
	adviceTopic    = "the topic does not exist; create it, or see KAFKA_TOPIC"
	adviceSize     = "the topic accepts only smaller records; see its max.message.bytes"
	adviceClock    = "the broker refuses the record's timestamp: compare this machine's clock with the broker's, and see the topic's " +
		"message.timestamp.before.max.ms and message.timestamp.after.max.ms"
	adviceRule = "the broker rejects the record as invalid (INVALID_RECORD): where it refuses them all, by a rule of the topic; see its " +
		"cleanup.policy, and a schema check at the broker such as confluent.value.schema.validation"
)

const unknownCodeName = "(not known to this program)"

// RowOf returns the row of a code. With a code that is not in the table the batch may or may not be stored.
func RowOf(c Code) Row {
	for _, r := range [...]Row{
		{-1, delivery.UnknownOutcome, 0, "UNKNOWN_SERVER_ERROR", ""},
		{2, delivery.Unavailable, NotStored, "CORRUPT_MESSAGE", "the checksum failed: a batch was damaged on its way"},
		{3, delivery.UnknownTopic, Stale, "UNKNOWN_TOPIC_OR_PARTITION", adviceTopic},
		{5, delivery.Unavailable, Stale, "LEADER_NOT_AVAILABLE", ""},
		{6, delivery.Unavailable, Stale, "NOT_LEADER_OR_FOLLOWER", ""},
		{7, delivery.UnknownOutcome, 0, "REQUEST_TIMED_OUT", ""},
		{8, delivery.Unavailable, Stale, "BROKER_NOT_AVAILABLE", ""},
		{9, delivery.Unavailable, NotStored | Stale, "REPLICA_NOT_AVAILABLE", ""},
		{10, delivery.TooLarge, NotStored | OneRecord, "MESSAGE_TOO_LARGE", adviceSize},
		{13, delivery.UnknownOutcome, Stale, "NETWORK_EXCEPTION", ""},
		{14, delivery.Unavailable, NotStored, "COORDINATOR_LOAD_IN_PROGRESS", ""},
		{15, delivery.Unavailable, NotStored, "COORDINATOR_NOT_AVAILABLE", ""},
		{16, delivery.Unavailable, NotStored, "NOT_COORDINATOR", ""},
		{17, delivery.UnknownTopic, NotStored, "INVALID_TOPIC_EXCEPTION", adviceTopic},
		{18, delivery.TooLarge, NotStored | OneRecord, "RECORD_LIST_TOO_LARGE", adviceSize},
		{19, delivery.Unavailable, NotStored, "NOT_ENOUGH_REPLICAS", "too few replicas of the topic are in sync; see its brokers and min.insync.replicas"},
		{20, delivery.UnknownOutcome, 0, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", "too few replicas of the topic are in sync; see its brokers and min.insync.replicas"},
		{21, delivery.Fatal, NotStored, "INVALID_REQUIRED_ACKS", ""},
		{29, delivery.NotAuthorized, NotStored, "TOPIC_AUTHORIZATION_FAILED", "the login may not see or write the topic; it needs DESCRIBE and WRITE on KAFKA_TOPIC"},
		{31, delivery.NotAuthorized, NotStored, "CLUSTER_AUTHORIZATION_FAILED", "the login may write to no topic; it needs WRITE on KAFKA_TOPIC, and before Kafka 3.0 IDEMPOTENT_WRITE on the cluster"},
		{32, delivery.TopicRule, NotStored, "INVALID_TIMESTAMP", adviceClock},
		{33, delivery.NotAuthorized, NotStored, "UNSUPPORTED_SASL_MECHANISM", adviceMechanism},
		{34, delivery.NotAuthorized, NotStored, "ILLEGAL_SASL_STATE", adviceNoLogin},
		{35, delivery.Fatal, NotStored, "UNSUPPORTED_VERSION", ""},
		{41, delivery.Unavailable, NotStored | Stale, "NOT_CONTROLLER", ""},
		{42, delivery.Fatal, NotStored, "INVALID_REQUEST", ""},
		{43, delivery.Fatal, NotStored, "UNSUPPORTED_FOR_MESSAGE_FORMAT", ""},
		{44, delivery.Throttled, NotStored, "POLICY_VIOLATION", ""}, // Event Hubs sends it when overloaded
		{45, delivery.UnknownOutcome, Spent, "OUT_OF_ORDER_SEQUENCE_NUMBER", ""},
		{47, delivery.UnknownOutcome, Spent, "INVALID_PRODUCER_EPOCH", ""},
		{53, delivery.NotAuthorized, NotStored, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", ""},
		{54, delivery.NotAuthorized, NotStored, "SECURITY_DISABLED", ""},
		{56, delivery.UnknownOutcome, Stale, "KAFKA_STORAGE_ERROR", "a broker's disk fails"},
		{58, delivery.NotAuthorized, NotStored, "SASL_AUTHENTICATION_FAILED", adviceLogin},
		{59, delivery.UnknownOutcome, Spent, "UNKNOWN_PRODUCER_ID", ""},
		{65, delivery.NotAuthorized, NotStored, "DELEGATION_TOKEN_AUTHORIZATION_FAILED", adviceLogin},
		{66, delivery.NotAuthorized, NotStored, "DELEGATION_TOKEN_EXPIRED", adviceLogin},
		{72, delivery.Unavailable, NotStored | Stale, "LISTENER_NOT_FOUND", AdviceListener},
		{74, delivery.Unavailable, Stale, "FENCED_LEADER_EPOCH", ""},
		{75, delivery.Unavailable, Stale, "UNKNOWN_LEADER_EPOCH", ""},
		{76, delivery.Fatal, NotStored, "UNSUPPORTED_COMPRESSION_TYPE", ""},
		{80, delivery.Unavailable, NotStored | Stale, "PREFERRED_LEADER_NOT_AVAILABLE", ""},
		{83, delivery.Unavailable, NotStored | Stale, "ELIGIBLE_LEADERS_NOT_AVAILABLE", ""},
		{87, delivery.Invalid, NotStored | OneRecord, "INVALID_RECORD", adviceRule},
		{89, delivery.Throttled, NotStored, "THROTTLING_QUOTA_EXCEEDED", ""},
		{90, delivery.UnknownOutcome, Spent, "PRODUCER_FENCED", ""},
		{100, delivery.UnknownTopic, Stale, "UNKNOWN_TOPIC_ID", adviceTopic},
		{103, delivery.UnknownTopic, Stale, "INCONSISTENT_TOPIC_ID", adviceTopic},
	} {
		if r.code == c {
			return r
		}
	}
	return Row{c, delivery.UnknownOutcome, 0, unknownCodeName, ""}
}
