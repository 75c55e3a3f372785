package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	prefix = "go-deep-agent:memories:"
	ttl    = 7 * 24 * time.Hour
)

// Message is one message. Without tags, its fields are stored under their own names.
type Message struct {
	Role       string
	Content    string
	ToolCalls  []ToolCall
	ToolCallID string
}

// ToolCall is one call of a tool; Arguments is the text of a JSON object.
type ToolCall struct {
	ID        string
	Type      string
	Name      string
	Arguments string
}

// Store keeps each conversation as one value.
type Store struct {
	client *redis.Client
}

// Address is where the server is.
type Address struct {
	Port   int    `json:"port"`
	Socket string `json:"socket"`
	DB     int    `json:"db"`
}

// Open makes a store. It connects when the first call needs it.
func Open(address Address) Store {
	options := redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", address.Port), DB: address.DB}
	if address.Socket != "" {
		options.Network, options.Addr = "unix", address.Socket
	}
	return Store{redis.NewClient(&options)}
}

// Save stores a conversation in the place of what is stored.
func (s Store) Save(id string, messages []Message) error {
	text, err := json.Marshal(messages)
	if err != nil {
		return err
	}
	return s.client.Set(context.Background(), prefix+id, text, ttl).Err()
}

// Load returns a conversation, nil if there is none.
func (s Store) Load(id string) ([]Message, error) {
	text, err := s.client.Get(context.Background(), prefix+id).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var messages []Message
	err = json.Unmarshal(text, &messages)
	return messages, err
}

// Append reads a conversation, adds to it, and stores it anew.
func (s Store) Append(id string, messages []Message) error {
	before, err := s.Load(id)
	if err != nil {
		return err
	}
	return s.Save(id, append(before, messages...))
}

// Tail returns the last messages of a conversation.
func (s Store) Tail(id string, n int) ([]Message, error) {
	messages, err := s.Load(id)
	if err != nil {
		return nil, err
	}
	return messages[max(0, len(messages)-n):], nil
}

// List returns all ids.
func (s Store) List() ([]string, error) {
	ids := []string{}
	keys := s.client.Scan(context.Background(), 0, prefix+"*", 0).Iterator()
	for keys.Next(context.Background()) {
		ids = append(ids, strings.TrimPrefix(keys.Val(), prefix))
	}
	return ids, keys.Err()
}
