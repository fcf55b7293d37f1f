/** What is to be said about a benchmark's figures, in words: what they leave out, and what is known of why an aim is missed. */
export const NOTES: Readonly<Record<string, readonly string[]>> = {
  dispatch: [
    'Executor, supervisor and etcd are real; the node shares the process of the benchmark, and objects are in memory.',
  ],
  throughput: [
    'All nodes and submitters share the one JavaScript thread of the benchmark, which a profile found busy for four fifths of the time, a sixth of it with collecting garbage. On machines of their own each node pays its own share.',
    'A short queue has 300 tasks at any time, a long one 4,000. Nodes that see others take most of the tasks read short stretches of the queue and watch none of them, so that nobody is told of what the others do: in virtual time a task of a long queue then costs 50 nodes 0.1 reads with 15 keys in all, no message of a watch, and 1.1 claim transactions, which travel with the completion of the task before (with a watch of each stretch it was 12 messages, 47 changes, and two calls instead of one).',
    'In a short queue, what 50 nodes have read of it is out of date too soon: half as many claims were lost as won. They notice and watch its head instead, so that each transaction is told to each of them: 100 messages and 200 changes a task, some 15 µs a message. The second floor has these messages and nothing else. Eight nodes find room in it as a rule.',
    'With 50 nodes of one slot each, a task of a long queue takes half a core’s millisecond of the nodes and as much of etcd, three times what it takes with eight nodes, whose calls travel together; the two cores of this machine are full then. The rate came to 0.65 to 0.75 of the floor from run to run.',
    'Processor time is a better measure than the rate where other work shares the cores: it tells what a task costs, not who else was there.',
    'Tried for short queues: to read a few keys at a place by chance for each claim or two, and to watch nothing. 50 nodes then came to about 1,000 tasks/s (0.4 of the floor), but up to 0.3 claims were lost for each that won where tasks come in bursts, and the order of the queue was lost as in a long one. Not worth it: short queues are those where order is seen.',
    'Next idea: a claim that names several candidates and takes the first free one, as one transaction (etcd nests them), so that a node can work from an older view. A request that is heard twice could then take two tasks, of which the node would know one: the completion of the task before would have to guard it, in the same transaction.',
  ],
  backlog: [
    'Memory is what the node’s process refers to after a collection of garbage, less what it did before: a median below nothing counts as 0.',
  ],
  logs: [
    'The floor is a pipe, zstd and puts into the same S3, without a supervisor, hash or index; with a follower, its process also sends what it reads through a WebSocket, as it is, to the process of the benchmark. Where a floor misses the aim too, the aim cannot be judged on these cores; the ratio can.',
    'What a follower of 256 MiB costs in processor time, on busy cores: 0.7 to 0.9 s in its own process, and 0.2 to 0.6 s in the node, which takes about 3 s to store them. About a third of the node’s time are V8’s own threads: it marks its heap anew for every 7 to 10 MiB of log, though the heap itself hardly grows, since it counts the buffers beside it as well. That a command’s output is read into one buffer, not a new one for each read, saves 8 % of what reading, cutting and compressing it takes.',
  ],
  edit: [
    'A workspace of 2,000 files and 1.6 MB, all committed, one of them edited; the first of the runs, which sends all of it, does not count. The node is a process of its own with SQLite and a folder, isolation as the machine has it; the program is started anew for each edit, as the extension does.',
    'Most of it is the start of the program, its first HTTP call, and seven processes of git one after the other. The disk here is ext4 without a journal: before each sandbox got its own part of it, four fifths of the time were looking through the files of the runs before.',
  ],
  snapshot: [
    'Unlike git’s, our times include packing what is to be sent. Of an edit about nine tenths are taking the snapshot: git compares the files and lists them at the same time, then writes its index twice, with the file and with its folders.',
  ],
  abuse: [
    'Of the 200 that stall, 100 never read their sockets and ask for the log four times with all the credit there is, and 100 read what they may and give no credit back. The aim of memory is a function of the followers, and not of the log: 608 KiB for each, 256 KiB for each subscription, and 200 MB for blocks of the log that they share and for what V8 has not collected yet.',
    'The floor of a refusal is a server of the same library with nothing in it, which answers 404. The clients share the cores with the node, so refusals a second are what is left of them.',
  ],
  binary: [
    'Built for Linux x64, and stripped. Node itself is 108 MB of it.',
    'The executable loads only the parts that a command needs, with the code that V8 made of them when it was built; the script finds that of its earlier starts in a cache folder.',
  ],
  startup: [
    'The node has an etcd and no S3: a node with S3 loads its client as well. Its memory is looked at 7 s after it has joined, when it has collected its garbage, which it does once, 5 s after it is ready.',
    'The first start of a build compiles the code; later ones take it from the cache folder.',
    'The program is one file of packed parts: a start unpacks those that it needs, and keeps none of their text. The supervisor, which needs least, shows what Node itself takes.',
  ],
  autoscale: [
    'Pods are real processes of two slots, at most five; a second stands for 20, but for the start of a pod, which takes what it takes on these cores. The HorizontalPodAutoscaler is its documented algorithm, on what the metrics adapter answers; the oracle has all five pods from the start.',
    'A HorizontalPodAutoscaler takes pods away by number: when two tasks run on two pods where one pod would do, a busy pod is told to stop, and finishes. Nodes that scale themselves wait for idle ones. The time of pods is what the 5 minutes cost after which both do with fewer.',
  ],
};
