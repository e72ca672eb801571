package realkafka

import (
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Deny forbids a user an operation on a topic, and returns when every node applies that. It adds a second ACL that
// permits everything to everybody else, because a topic with any ACL is closed to users without one.
func (c *Cluster) Deny(ctx context.Context, user, topic string, op kmsg.ACLOperation) error {
	ctx, cancel := context.WithTimeout(ctx, adminLimit)
	defer cancel()
	deny := kmsg.NewCreateACLsRequestCreation()
	deny.ResourceType, deny.ResourceName = kmsg.ACLResourceTypeTopic, topic
	deny.ResourcePatternType = kmsg.ACLResourcePatternTypeLiteral
	deny.Principal, deny.Host = "User:"+user, "*"
	deny.Operation, deny.PermissionType = op, kmsg.ACLPermissionTypeDeny
	allow := deny
	allow.Principal, allow.Operation, allow.PermissionType = "User:*", kmsg.ACLOperationAll, kmsg.ACLPermissionTypeAllow
	req := kmsg.NewCreateACLsRequest()
	req.Creations = append(req.Creations, deny, allow)
	err := c.until(ctx, func(cl *kgo.Client) error {
		resp, err := req.RequestWith(ctx, cl)
		if err != nil {
			return err
		}
		for _, r := range resp.Results {
			if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = c.until(ctx, func(*kgo.Client) error { return c.obeys(ctx, deny) })
	}
	if err != nil {
		return fmt.Errorf("deny %s to user %s on topic %s: %w", op, user, topic, err)
	}
	return nil
}

// obeys checks that the authorizer of every running node knows the ACL.
func (c *Cluster) obeys(ctx context.Context, acl kmsg.CreateACLsRequestCreation) error {
	req := kmsg.NewDescribeACLsRequest()
	req.ResourceType, req.ResourceName = acl.ResourceType, &acl.ResourceName
	req.ResourcePatternType = acl.ResourcePatternType
	req.Principal, req.Host = &acl.Principal, &acl.Host
	req.Operation, req.PermissionType = acl.Operation, acl.PermissionType
	for _, n := range c.nodes {
		if !n.Running() {
			continue
		}
		resp, err := ask[*kmsg.DescribeACLsResponse](ctx, n, &req)
		if err != nil {
			return err
		}
		if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
			return err
		}
		if len(resp.Resources) == 0 {
			return errNotYet
		}
	}
	return nil
}

// AddLogin adds a SCRAM user to a running cluster, and returns when a login succeeds.
func (c *Cluster) AddLogin(ctx context.Context, l ScramLogin) error {
	ctx, cancel := context.WithTimeout(ctx, adminLimit)
	defer cancel()
	for mechanism, newHash := range map[int8]func() hash.Hash{1: sha256.New, 2: sha512.New} { // SCRAM-SHA-256, -512
		if err := c.addLogin(ctx, l, mechanism, newHash); err != nil {
			return fmt.Errorf("add a login: %w", err)
		}
	}
	return nil
}

func (c *Cluster) addLogin(ctx context.Context, l ScramLogin, mechanism int8, newHash func() hash.Hash) error {
	const rounds = 4096
	u := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
	u.Name, u.Mechanism, u.Iterations, u.Salt = l.Name, mechanism, rounds, []byte("salt of "+l.Name)
	var err error
	if u.SaltedPassword, err = pbkdf2.Key(newHash, l.Password, u.Salt, rounds, newHash().Size()); err != nil {
		return fmt.Errorf("hash a password: %w", err)
	}
	req := kmsg.NewAlterUserSCRAMCredentialsRequest()
	req.Upsertions = append(req.Upsertions, u)
	return c.until(ctx, func(cl *kgo.Client) error {
		resp, err := req.RequestWith(ctx, cl)
		if err != nil {
			return err
		}
		for _, r := range resp.Results {
			if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
				return err
			}
		}
		return nil
	})
}
