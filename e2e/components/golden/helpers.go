package main

import (
	"bytes"
	"errors"
	"strings"
	"text/template"

	"github.com/BurntSushi/toml"
	"sigs.k8s.io/yaml"
)

// What Helm and External Secrets offer beside sprig, on the libraries that they use.
var helpers = template.FuncMap{
	"toYaml":   toYaml,
	"fromYaml": fromYaml,
	"toToml":   toToml,
	"fromToml": fromToml,
	"required": required,
}

func toYaml(value any) (string, error) {
	text, err := yaml.Marshal(value)
	return strings.TrimSuffix(string(text), "\n"), err
}

func fromYaml(text string) (value any, err error) {
	err = yaml.Unmarshal([]byte(text), &value)
	return value, err
}

func toToml(value any) (string, error) {
	var text bytes.Buffer
	err := toml.NewEncoder(&text).Encode(value)
	return text.String(), err
}

func fromToml(text string) (map[string]any, error) {
	value := map[string]any{}
	err := toml.Unmarshal([]byte(text), &value)
	return value, err
}

func required(words string, value any) (any, error) {
	if value == nil {
		return nil, errors.New(words)
	}
	if text, is := value.(string); is && text == "" {
		return nil, errors.New(words)
	}
	return value, nil
}
