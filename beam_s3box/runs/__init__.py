"""After the run: functions that see, prove, mend and clean what runs have written. None of them prints."""
