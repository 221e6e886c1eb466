package agent

import "errors"

// noMacvlans stands in until the host can make them.
type noMacvlans struct{}

var errNoMacvlans = errors.New("virtual MAC addresses are not supported")

func (noMacvlans) Prepare(string, uint8, bool) (string, error) { return "", errNoMacvlans }
func (noMacvlans) SetUp(string, uint8, bool, bool) error       { return errNoMacvlans }
func (noMacvlans) Remove(string, uint8, bool) error            { return nil }
func (noMacvlans) Sweep() ([]string, error)                    { return nil, nil }
