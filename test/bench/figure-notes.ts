/** What is to be said about a benchmark's figures, in words: what they leave out, and what is known of why an aim is missed. */
export const NOTES: Readonly<Record<string, readonly string[]>> = {
  dispatch: [
    'Executor, supervisor and etcd are real; the node shares the process of the benchmark, and objects are in memory.',
  ],
  throughput: [
    'All nodes and submitters share the one JavaScript thread of the benchmark, which a profile found busy nearly all the time, while etcd had more than half of its core to spare. Free nodes watch, so each of the three transactions of a task is told to each node: with 50 of them 150 messages a task, some 15 µs of that thread each. The second floor has these messages and nothing else. On machines of their own each node pays its own share, a fiftieth.',
    'Next idea: a claim that names several candidates and takes the first free one, as one transaction (etcd nests them). A node can then work from an older view of a long queue without a watch, and complete one task and claim the next in the same transaction. A plain list instead of the watch is no way out: etcd 3.4 walks over all keys deleted since the last compaction.',
  ],
  backlog: [
    'Memory is what the node’s process refers to after a collection of garbage, less what it did before: a median below nothing counts as 0.',
  ],
  logs: [
    'The floor is a pipe, zstd and puts into the same S3, without a supervisor, hash or index; with a follower, its process also sends what it reads through a WebSocket, as it is, to the process of the benchmark. Where a floor misses the aim too, the aim cannot be judged on these cores; the ratio can.',
    'What a follower of 256 MiB costs in processor time, on busy cores: 0.7 to 0.9 s in its own process, and 0.2 to 0.6 s in the node, which takes about 3 s to store them. About a third of the node’s time are V8’s own threads: it marks its heap anew for every 7 to 10 MiB of log, though the heap itself hardly grows, since it counts the buffers beside it as well.',
  ],
  snapshot: [
    'Unlike git’s, our times include packing what is to be sent. Of an edit about nine tenths are taking the snapshot: git compares the files and lists them at the same time, then writes its index twice, with the file and with its folders.',
    'The first snapshot varies: another run, on a slightly different version, missed its aim.',
  ],
  binary: [
    'Built for Linux x64, and stripped. Node itself is 108 MB of it.',
    'The executable loads only the parts that a command needs, with the code that V8 made of them when it was built; the script finds that of its earlier starts in a cache folder.',
  ],
  startup: [
    'The node has an etcd and no S3: a node with S3 loads its client as well. Its memory is looked at 7 s after it has joined, when it has collected its garbage, which it does once, 5 s after it is ready.',
    'The first start of a build compiles the code; later ones take it from the cache folder. The processor time alone is above the aim.',
  ],
};
