package html

import "testing"

// dataset is the document of the tests below.
const dataset = `<p id=p data-user-url=1 data-test-id=v data-a-b-c=9 data-t=true data-f=false data-n=null data-e="" data-j='{"a":[1,{"b":null}]}' data-bad='{bad' data-arr='[1,"x"]' data-i=-5 data-d=1.5 data-lead=007 data-exp=1e3 data-trail=1.0 data-big=12345678901234567890 data-hex=0x10 data-up=TRUE data-http-url=h data-x-id-s=s data-foo-1=f data-space=" 5 " title=t></p>`

// TestData holds what k6 v2.2.0 answers.
func TestData(t *testing.T) {
	check(t, dataset, []answer{
		{`$('p').data()`, `(aBC:9,arr:[1,"x"],bad:"{bad",big:"12345678901234567890",d:1.5,e:undefined,exp:"1e3",f:false,foo1:"f",hex:"0x10",httpURL:"h",i:-5,j:(a:[1,(b:null)]),lead:"007",n:undefined,space:" 5 ",t:true,testID:"v",trail:"1.0",up:"TRUE",userURL:1,xIDS:"s")`},
		{`$('#p').data('user-url')`, `1`},
		{`['userURL', 'userUrl', 'testID', 'testId', 'ABC', 'aBC', 'HTTPUrl', 'xIDs', 'foo_1', 'http_url'].map((k) => $('p').data(k))`, `[1,1,"v","v",9,9,"h","s","f","h"]`},
		{`['userurl', 'aBc', 'title', 'data-t', '', 'nope', 'TEST-ID'].map((k) => $('p').data(k))`, `[undefined,undefined,undefined,undefined,undefined,undefined,undefined]`},
		{`['t', 'f', 'n', 'e', 'up'].map((k) => $('p').data(k))`, `[true,false,undefined,undefined,"TRUE"]`},
		{`['i', 'd', 'lead', 'exp', 'trail', 'big', 'hex', 'space'].map((k) => $('p').data(k))`, `[-5,1.5,"007","1e3","1.0","12345678901234567890","0x10"," 5 "]`},
		{`['j', 'bad', 'arr'].map((k) => $('p').data(k))`, `[(a:[1,(b:null)]),"{bad",[1,"x"]]`},
		{`$('nope').data()`, `undefined`},
		{`$('nope').data('t')`, `undefined`},
	})
}
