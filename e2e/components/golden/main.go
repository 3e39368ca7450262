// Command golden carries out templates with Go's own text/template and sprig. The tests compare what it yields with
// what Vaultbridge yields.
//
// It reads one JSON document from standard input, with the cases, and writes one to standard output, with the results in
// the same order and the names of all functions that sprig has.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"text/template"
	_ "time/tzdata" // the zones, wherever this runs

	"github.com/Masterminds/sprig/v3"
)

type question struct {
	Cases []struct {
		Template   string         `json:"template"`
		Values     map[string]any `json:"values"`
		Delimiters []string       `json:"delimiters"`
	} `json:"cases"`
}

type answer struct {
	Functions []string `json:"functions"`
	Results   []result `json:"results"`
}

type result struct {
	Text  []byte `json:"text,omitempty"`
	Error string `json:"error,omitempty"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	decoder := json.NewDecoder(os.Stdin)
	// A whole number is one, as in a source that Vault keeps, and no float.
	decoder.UseNumber()
	var asked question
	if err := decoder.Decode(&asked); err != nil {
		return err
	}
	said := answer{Functions: slices.Sorted(maps.Keys(sprig.TxtFuncMap())), Results: []result{}}
	for _, one := range asked.Cases {
		values, _ := plain(one.Values).(map[string]any)
		text, err := render(one.Template, one.Delimiters, values)
		if err != nil {
			said.Results = append(said.Results, result{Error: err.Error()})
		} else {
			said.Results = append(said.Results, result{Text: text})
		}
	}
	return json.NewEncoder(os.Stdout).Encode(said)
}

func render(text string, delimiters []string, values map[string]any) (made []byte, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("panic: %v", reason)
		}
	}()
	one := template.New("case").Option("missingkey=error").Funcs(sprig.TxtFuncMap()).Funcs(helpers)
	if len(delimiters) == 2 {
		one = one.Delims(delimiters[0], delimiters[1])
	}
	if one, err = one.Parse(text); err != nil {
		return nil, err
	}
	var output bytes.Buffer
	if err := one.Execute(&output, values); err != nil {
		return nil, err
	}
	return output.Bytes(), nil
}

// plain turns the numbers that the decoder has kept as texts into those that a Go program would have.
func plain(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for name, member := range value {
			value[name] = plain(member)
		}
	case []any:
		for index, element := range value {
			value[index] = plain(element)
		}
	case json.Number:
		if whole, err := value.Int64(); err == nil && !strings.ContainsAny(value.String(), ".eE") {
			return int(whole)
		}
		fraction, _ := value.Float64()
		return fraction
	}
	return value
}
