package kafka

import (
	"strconv"

	"userrelay/handler/delivery"
)

// code is an error code of a broker's answer (Kafka protocol guide, "Error Codes").
type code int16

// Codes that the package treats one by one.
const (
	codeNone                 code = 0
	codeUnknownTopic         code = 3
	codeCoordinatorLoading   code = 14
	codeTopicAuthorization   code = 29
	codeClusterAuthorization code = 31
	codeDuplicateSequence    code = 46
	codeAuthenticationFailed code = 58
	codeListenerNotFound     code = 72
)

func (c code) Error() string { return "Kafka error " + strconv.Itoa(int(c)) + " " + rowOf(c).name }

// traits are what a code says beside its class.
type traits int

const (
	// The broker looks at this before it appends: it has certainly not stored the batch by this attempt. Without it the
	// batch may be stored: a leader that has appended a batch and waits for its replicas answers NOT_LEADER_OR_FOLLOWER, or
	// UNKNOWN_TOPIC_OR_PARTITION, when it ceases to lead meanwhile (DelayedProduce in Kafka's source).
	notStored traits = 1 << iota
	// Metadata are out of date (InvalidMetadataException in Kafka's Java client).
	stale
	// The broker does not go on with the producer id.
	spent
	// One record may be at fault: in two halves of the batch, one may be stored.
	oneRecord
)

// row is all that is known of a code.
type row struct {
	code   code
	class  delivery.Class
	traits traits
	name   string // in the protocol guide
	advice string // for an operator; "": by class
}

func (r row) is(t traits) bool { return r.traits&t != 0 }

const (
	adviceLogin     = "the broker refuses the login; see KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD, or the token's audience and rights"
	adviceMechanism = "the broker does not offer this login; see KAFKA_SASL_MECHANISM and KAFKA_SECURITY_PROTOCOL"
	adviceNoLogin   = "the broker's port takes no login; see KAFKA_SECURITY_PROTOCOL and KAFKA_SASL_MECHANISM"
	adviceListener  = "the leader has no listener of the kind that answered; see the brokers' advertised.listeners"
	adviceTopic     = "the topic does not exist; create it, or see KAFKA_TOPIC"
	adviceSize      = "the topic takes only smaller records; see its max.message.bytes"
	adviceClock     = "the broker refuses the record's timestamp: compare this machine's clock with the broker's, and see the topic's " +
		"message.timestamp.before.max.ms and message.timestamp.after.max.ms"
	adviceRule = "the broker calls the record invalid (INVALID_RECORD): where it refuses them all, by a rule of the topic; see its " +
		"cleanup.policy, and a schema check at the broker such as confluent.value.schema.validation"
)

const unknownCodeName = "(not known to this program)"

// rowOf returns the row of a code. A code that is not in the table says nothing of whether the batch is stored.
func rowOf(c code) row {
	for _, r := range [...]row{
		{-1, delivery.UnknownOutcome, 0, "UNKNOWN_SERVER_ERROR", ""},
		{2, delivery.Unavailable, notStored, "CORRUPT_MESSAGE", "the checksum failed: a batch was damaged on its way"},
		{3, delivery.UnknownTopic, stale, "UNKNOWN_TOPIC_OR_PARTITION", adviceTopic},
		{5, delivery.Unavailable, stale, "LEADER_NOT_AVAILABLE", ""},
		{6, delivery.Unavailable, stale, "NOT_LEADER_OR_FOLLOWER", ""},
		{7, delivery.UnknownOutcome, 0, "REQUEST_TIMED_OUT", ""},
		{8, delivery.Unavailable, stale, "BROKER_NOT_AVAILABLE", ""},
		{9, delivery.Unavailable, notStored | stale, "REPLICA_NOT_AVAILABLE", ""},
		{10, delivery.TooLarge, notStored | oneRecord, "MESSAGE_TOO_LARGE", adviceSize},
		{13, delivery.UnknownOutcome, stale, "NETWORK_EXCEPTION", ""},
		{14, delivery.Unavailable, notStored, "COORDINATOR_LOAD_IN_PROGRESS", ""},
		{15, delivery.Unavailable, notStored, "COORDINATOR_NOT_AVAILABLE", ""},
		{16, delivery.Unavailable, notStored, "NOT_COORDINATOR", ""},
		{17, delivery.UnknownTopic, notStored, "INVALID_TOPIC_EXCEPTION", adviceTopic},
		{18, delivery.TooLarge, notStored | oneRecord, "RECORD_LIST_TOO_LARGE", adviceSize},
		{19, delivery.Unavailable, notStored, "NOT_ENOUGH_REPLICAS", "too few replicas of the topic are in sync; see its brokers and min.insync.replicas"},
		{20, delivery.UnknownOutcome, 0, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", "too few replicas of the topic are in sync; see its brokers and min.insync.replicas"},
		{21, delivery.Fatal, notStored, "INVALID_REQUIRED_ACKS", ""},
		{29, delivery.NotAuthorized, notStored, "TOPIC_AUTHORIZATION_FAILED", "the login may not see or write the topic; it needs DESCRIBE and WRITE on KAFKA_TOPIC"},
		{31, delivery.NotAuthorized, notStored, "CLUSTER_AUTHORIZATION_FAILED", "the login may write to no topic; it needs WRITE on KAFKA_TOPIC, and before Kafka 3.0 IDEMPOTENT_WRITE on the cluster"},
		{32, delivery.TopicRule, notStored, "INVALID_TIMESTAMP", adviceClock},
		{33, delivery.NotAuthorized, notStored, "UNSUPPORTED_SASL_MECHANISM", adviceMechanism},
		{34, delivery.NotAuthorized, notStored, "ILLEGAL_SASL_STATE", adviceNoLogin},
		{35, delivery.Fatal, notStored, "UNSUPPORTED_VERSION", ""},
		{41, delivery.Unavailable, notStored | stale, "NOT_CONTROLLER", ""},
		{42, delivery.Fatal, notStored, "INVALID_REQUEST", ""},
		{43, delivery.Fatal, notStored, "UNSUPPORTED_FOR_MESSAGE_FORMAT", ""},
		{44, delivery.Throttled, notStored, "POLICY_VIOLATION", ""}, // Event Hubs answers it when it is overloaded
		{45, delivery.UnknownOutcome, spent, "OUT_OF_ORDER_SEQUENCE_NUMBER", ""},
		{47, delivery.UnknownOutcome, spent, "INVALID_PRODUCER_EPOCH", ""},
		{53, delivery.NotAuthorized, notStored, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", ""},
		{54, delivery.NotAuthorized, notStored, "SECURITY_DISABLED", ""},
		{56, delivery.UnknownOutcome, stale, "KAFKA_STORAGE_ERROR", "a broker's disk fails"},
		{58, delivery.NotAuthorized, notStored, "SASL_AUTHENTICATION_FAILED", adviceLogin},
		{59, delivery.UnknownOutcome, spent, "UNKNOWN_PRODUCER_ID", ""},
		{65, delivery.NotAuthorized, notStored, "DELEGATION_TOKEN_AUTHORIZATION_FAILED", adviceLogin},
		{66, delivery.NotAuthorized, notStored, "DELEGATION_TOKEN_EXPIRED", adviceLogin},
		{72, delivery.Unavailable, notStored | stale, "LISTENER_NOT_FOUND", adviceListener},
		{74, delivery.Unavailable, stale, "FENCED_LEADER_EPOCH", ""},
		{75, delivery.Unavailable, stale, "UNKNOWN_LEADER_EPOCH", ""},
		{76, delivery.Fatal, notStored, "UNSUPPORTED_COMPRESSION_TYPE", ""},
		{80, delivery.Unavailable, notStored | stale, "PREFERRED_LEADER_NOT_AVAILABLE", ""},
		{83, delivery.Unavailable, notStored | stale, "ELIGIBLE_LEADERS_NOT_AVAILABLE", ""},
		{87, delivery.Invalid, notStored | oneRecord, "INVALID_RECORD", adviceRule},
		{89, delivery.Throttled, notStored, "THROTTLING_QUOTA_EXCEEDED", ""},
		{90, delivery.UnknownOutcome, spent, "PRODUCER_FENCED", ""},
		{100, delivery.UnknownTopic, stale, "UNKNOWN_TOPIC_ID", adviceTopic},
		{103, delivery.UnknownTopic, stale, "INCONSISTENT_TOPIC_ID", adviceTopic},
	} {
		if r.code == c {
			return r
		}
	}
	return row{c, delivery.UnknownOutcome, 0, unknownCodeName, ""}
}
