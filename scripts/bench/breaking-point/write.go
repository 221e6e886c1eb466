package main

func (o options) write(all []climb) error { return nil }
