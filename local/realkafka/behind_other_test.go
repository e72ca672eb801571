//go:build !linux

package realkafka_test

func helper() {}
