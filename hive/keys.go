package hive

import "fmt"

// Keys makes the names of all of hive's keys in etcd. They lie under
// /hive/<cluster>/; values are small JSON except where said otherwise.
//
//	key                       writer               reader              lease
//	id                        first node           joining nodes       -      the hive's charter: its own id, its protocol, whether its etcd is embedded; written once
//	nodes/<node>              that node            leader, next two    node   registry.Node; others read those that they need
//	names/<name>              that node            joining nodes       node   id of the node with that name
//	leader/<lease>            candidates           leader, next two    node   id of the candidate; the oldest key leads
//	line                      leader               all                 leader Line: who leads and who leads next
//	calls/<node>              leader               that node           -      empty; asks it to hold a member of the embedded etcd, deleted when it does
//	active                    leader               agents              -      id of the run that the hive is at
//	queue/<run>               submitting node      leader              -      order of runs; deleted when one finishes
//	refs/<sha256>/<run>       submitting node      leader              -      which runs need an archive
//	refs/<sha256>/up-<lease>  node that takes it   leader              15 min keeps an upload until it is submitted
//	blobs/<sha256>/...        node that takes it   agents              -      the archive in chunks (package archive)
//	runs/<run>/spec           submitting node      all                 -      Spec
//	runs/<run>/state          leader               all                 -      State
//	runs/<run>/state/veto     a member             all, leader         -      Veto of the proposal in the state; deleted in the write that ends that
//	runs/<run>/roster         leader               leader, API         -      Roster: the members that the state is about
//	runs/<run>/plan           leader               clients             -      Plan
//	runs/<run>/alloc/<epoch>/<node>  leader        that node           -      Alloc
//	runs/<run>/work/<epoch>/<node>   leader        that node           -      []share.Work by scenario, written with the commit of the epoch
//	runs/<run>/rows           leader               leader              -      rows: which counted iterations belong to whom
//	runs/<run>/lives/<n>      leader               leader              -      Life of an incarnation that has no share any more; lives/0 sums up older ones
//	runs/<run>/marks/<node>   that node            leader              -      NodeMarks
//	runs/<run>/tick           leader               leader              -      Tick
//	runs/<run>/timeline/<n>   leader               all                 -      TimelineEvent
//	runs/<run>/status/<node>  that node            leader              node   Status, on change
//	runs/<run>/setup          the named node       leader, agents      -      Duty; setup/<n> what setup() returned, in chunks
//	runs/<run>/teardown       the named node       leader              -      Duty
//	runs/<run>/control/<id>   any node             leader              -      Control, served in the order of their revisions and deleted with that
//	runs/<run>/result         leader               all                 -      size and digest; result/<n> the Result, in chunks
//
// All of the leader's writes are fenced by its election key.
type Keys struct{ root string }

// NewKeys returns the keys of a cluster.
func NewKeys(cluster string) Keys { return Keys{root: "/hive/" + cluster + "/"} }

// Root is what the keys of an archive lie under.
func (k Keys) Root() string { return k.root }

func (k Keys) ID() string     { return k.root + "id" }
func (k Keys) Nodes() string  { return k.root + "nodes/" }
func (k Keys) Names() string  { return k.root + "names/" }
func (k Keys) Leader() string { return k.root + "leader/" }
func (k Keys) Line() string   { return k.root + "line" }
func (k Keys) Active() string { return k.root + "active" }
func (k Keys) Queue() string  { return k.root + "queue/" }
func (k Keys) Blobs() string  { return k.root + "blobs/" }
func (k Keys) Refs() string   { return k.root + "refs/" }
func (k Keys) Runs() string   { return k.root + "runs/" }

func (k Keys) Queued(run string) string      { return k.Queue() + run }
func (k Keys) RefsOf(digest string) string   { return k.Refs() + digest + "/" }
func (k Keys) Ref(digest, run string) string { return k.RefsOf(digest) + run }
func (k Keys) Run(run string) string         { return k.Runs() + run + "/" }
func (k Keys) Spec(run string) string        { return k.Run(run) + "spec" }
func (k Keys) State(run string) string       { return k.Run(run) + "state" }
func (k Keys) Veto(run string) string        { return k.State(run) + "/veto" }
func (k Keys) Roster(run string) string      { return k.Run(run) + "roster" }
func (k Keys) Plan(run string) string        { return k.Run(run) + "plan" }
func (k Keys) Allocs(run string) string      { return k.Run(run) + "alloc/" }
func (k Keys) AllocsOf(run string, epoch int) string {
	return fmt.Sprintf("%s%06d/", k.Allocs(run), epoch)
}
func (k Keys) Alloc(run string, epoch int, node string) string { return k.AllocsOf(run, epoch) + node }
func (k Keys) Works(run string) string                         { return k.Run(run) + "work/" }
func (k Keys) Work(run string, epoch int, node string) string {
	return fmt.Sprintf("%s%06d/%s", k.Works(run), epoch, node)
}
func (k Keys) Rows(run string) string  { return k.Run(run) + "rows" }
func (k Keys) Lives(run string) string { return k.Run(run) + "lives/" }
func (k Keys) Life(run string, n int64) string {
	return fmt.Sprintf("%s%08d", k.Lives(run), n)
}
func (k Keys) AllMarks(run string) string    { return k.Run(run) + "marks/" }
func (k Keys) Marks(run, node string) string { return k.AllMarks(run) + node }
func (k Keys) Tick(run string) string        { return k.Run(run) + "tick" }
func (k Keys) Timeline(run string) string    { return k.Run(run) + "timeline/" }
func (k Keys) TimelineEvent(run string, n int64) string {
	return fmt.Sprintf("%s%08d", k.Timeline(run), n)
}
func (k Keys) Statuses(run string) string     { return k.Run(run) + "status/" }
func (k Keys) Status(run, node string) string { return k.Statuses(run) + node }
func (k Keys) Setup(run string) string        { return k.Run(run) + "setup" }
func (k Keys) Teardown(run string) string     { return k.Run(run) + "teardown" }
func (k Keys) Controls(run string) string     { return k.Run(run) + "control/" }
func (k Keys) Control(run, seq string) string { return k.Controls(run) + seq }
func (k Keys) Result(run string) string       { return k.Run(run) + "result" }
func (k Keys) upload(digest string, l int64) string {
	return fmt.Sprintf("%sup-%x", k.RefsOf(digest), l)
}
