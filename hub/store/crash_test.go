package store

const crashDirEnv = "YARDARM_TEST_CRASH_DIR"

func crashChild(string) {}
