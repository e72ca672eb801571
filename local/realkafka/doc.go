// Package realkafka runs Apache Kafka 4.x brokers (KRaft) on loopback, for local runs and tests.
//
// [Start] formats and starts one node with every listener the producer has to cope with, or three nodes for leader
// changes, from the jars of a Kafka distribution. A node can be stopped, killed, paused and started again on the
// same folder and ports. Certificates ([CA]), tokens ([Signer], [UnsecuredToken]) and a reader of topics ([Read])
// complete it.
//
// # Nothing stays behind
//
// [Cluster.Close] ends every broker. When the process dies without it (a panic, a test's time limit, SIGKILL), the
// kernel ends the brokers on Linux: they are started with a parent-death signal. That signal follows the thread which
// started the child, not the process, and the Go runtime may end a thread that another goroutine had locked, so each
// broker has a goroutine that starts it, waits for it, and keeps its thread until the broker is gone. Other systems
// have nothing like it: there a broker outlives a process that died without calling Close. A temporary folder stays
// behind on all of them.
//
// # Time
//
// A start takes some 3 s on two cores with a class archive, twice that without. The archive (60 MB) is made at the first
// start with a Java and a set of jars, which takes some 15 s, and kept in the user's cache folder under userrelay/.
//
// The package never looks at the environment.
package realkafka
