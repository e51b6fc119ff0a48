use super::*;
use crate::ErrorCode;

fn parse(rules: &str) -> Result<LifecycleConfiguration, (ErrorCode, String)> {
    let document = format!("<LifecycleConfiguration>{rules}</LifecycleConfiguration>");
    let refused = |error: S3Error| (error.code(), error.message().to_owned());
    LifecycleConfiguration::parse(document.as_bytes(), MinimumSize::default()).map_err(refused)
}

fn rule(content: &str) -> String {
    format!("<Rule><ID>a</ID><Filter/><Status>Enabled</Status>{content}</Rule>")
}

fn filtered(filter: &str, action: &str) -> String {
    format!("<Rule>{filter}<Status>Enabled</Status>{action}</Rule>")
}

const EXPIRES: &str = "<Expiration><Days>1</Days></Expiration>";

#[test]
fn a_configuration_reads_back_as_it_is_stored() {
    let rules = "<Rule><ID>old &amp; plain</ID><Prefix>a/</Prefix><Status>Disabled</Status>\
                 <Expiration><Date>2030-01-01</Date></Expiration></Rule>\
                 <Rule><ID>b</ID><Filter><And><Prefix>b/</Prefix><Tag><Key>k</Key><Value>v</Value></Tag>\
                 <ObjectSizeGreaterThan>0</ObjectSizeGreaterThan><ObjectSizeLessThan>9</ObjectSizeLessThan></And></Filter>\
                 <Status>Enabled</Status><Expiration><Days>9</Days></Expiration>\
                 <Transition><Days>0</Days><StorageClass>COLD</StorageClass></Transition>\
                 <NoncurrentVersionTransition><NoncurrentDays>1</NoncurrentDays><StorageClass>COLD</StorageClass>\
                 </NoncurrentVersionTransition><NoncurrentVersionExpiration><NoncurrentDays>2</NoncurrentDays>\
                 <NewerNoncurrentVersions>100</NewerNoncurrentVersions></NoncurrentVersionExpiration></Rule>\
                 <Rule><ID>c</ID><Filter><Tag><Key>k</Key><Value/></Tag></Filter><Status>Enabled</Status>\
                 <Expiration><Days>2147483647</Days></Expiration></Rule>\
                 <Rule><ID>d</ID><Filter/><Status>Enabled</Status><Expiration><ExpiredObjectDeleteMarker>true\
                 </ExpiredObjectDeleteMarker></Expiration><AbortIncompleteMultipartUpload><DaysAfterInitiation>7\
                 </DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>";
    let mut read = parse(rules).unwrap();
    read.minimum_size = MinimumSize::AllStorageClasses128K;
    assert_eq!(read.rules.iter().map(|rule| rule.enabled).collect::<Vec<_>>(), [false, true, true, true]);
    assert_eq!(read.rules[0].expiration, Some(Expiration::Date(Timestamp::from_seconds(1_893_456_000))));
    assert_eq!(LifecycleConfiguration::parse_stored(&read.stored()), Ok(read.clone()));
    let answered = LifecycleConfiguration::get_answer(&read.stored()).unwrap();
    assert_eq!(answered.headers()["x-amz-transition-default-minimum-object-size"], "all_storage_classes_128K");
    let text = std::str::from_utf8(answered.body()).unwrap().to_owned();
    assert!(text.contains("<ID>old &amp; plain</ID><Prefix>a/</Prefix><Status>Disabled</Status>"), "{text}");
    assert!(text.contains("<Date>2030-01-01T00:00:00.000Z</Date>") && !text.contains("MinimumObjectSize"), "{text}");
    assert_eq!(read.classes().map(StorageClass::as_str).collect::<Vec<_>>(), ["COLD", "COLD"]);
}

#[test]
fn rules_without_an_id_get_one_each() {
    let mut read =
        parse(&format!("{}{}{}", filtered("<Prefix/>", EXPIRES), filtered("<Filter/>", EXPIRES), rule(EXPIRES)))
            .unwrap();
    read.name_rules([0xff; 16]);
    let ids: Vec<&str> = read.rules.iter().map(|rule| rule.id.as_str()).collect();
    assert_eq!(ids, ["f".repeat(32).as_str(), "0".repeat(32).as_str(), "a"]);
}

#[test]
fn what_is_no_configuration_is_malformed() {
    let without_filter = format!("<Rule><Status>Enabled</Status>{EXPIRES}</Rule>");
    for rules in [
        String::new(),
        rule("<Expiration/>"),
        rule("<Expiration><Days>1</Days><Date>2030-01-01</Date></Expiration>"),
        rule("<Expiration><Days>1</Days><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"),
        rule(
            "<Expiration><Date>2030-01-01</Date><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>",
        ),
        rule("<Expiration><Days>soon</Days></Expiration>"),
        rule("<Expiration><Days>2147483648</Days></Expiration>"),
        rule("<Expiration><Date>20300101</Date></Expiration>"),
        rule("<Expiration><Date>2030-02-30</Date></Expiration>"),
        rule("<Expiration><Date>2030-01-01T00:00:00</Date></Expiration>"),
        rule("<Expiration><ExpiredObjectDeleteMarker>yes</ExpiredObjectDeleteMarker></Expiration>"),
        rule(&format!("{EXPIRES}{EXPIRES}")),
        rule("<Other/>"),
        rule("<Transition><Days>1</Days></Transition>"),
        rule("<Transition><StorageClass>COLD</StorageClass></Transition>"),
        rule("<Transition><Days>1</Days><StorageClass>STANDARD</StorageClass></Transition>"),
        rule("<Transition><Days>1</Days><StorageClass>cold</StorageClass></Transition>"),
        rule(
            "<NoncurrentVersionExpiration><NewerNoncurrentVersions>1</NewerNoncurrentVersions></NoncurrentVersionExpiration>",
        ),
        rule("<AbortIncompleteMultipartUpload/>"),
        rule(EXPIRES).repeat(1001),
        rule(EXPIRES).replace("Enabled", "enabled"),
        rule(EXPIRES).replace("Enabled", "Disabled ").replace("Disabled ", "off"),
        without_filter,
        filtered("<Prefix>a</Prefix><Filter/>", EXPIRES),
        filtered("<Filter><Prefix>a</Prefix><ObjectSizeLessThan>9</ObjectSizeLessThan></Filter>", EXPIRES),
        filtered("<Filter><And/></Filter>", EXPIRES),
        filtered("<Filter><And><Prefix>a</Prefix></And><Prefix>b</Prefix></Filter>", EXPIRES),
        filtered("<Filter><Tag><Key>a</Key></Tag></Filter>", EXPIRES),
        filtered("<Filter><ObjectSizeLessThan>-1</ObjectSizeLessThan></Filter>", EXPIRES),
    ] {
        assert_eq!(parse(&rules).unwrap_err().0, ErrorCode::MalformedXML, "{rules}");
    }
    let many: String = (0..1000).map(|_| filtered("<Filter/>", EXPIRES)).collect();
    assert_eq!(parse(&many).unwrap().rules.len(), 1000);
}

#[test]
fn what_no_rule_can_say_is_refused_in_aws_words() {
    let code = |rules: &str| parse(rules).unwrap_err();
    let (days, words) = code(&rule("<Expiration><Days>0</Days></Expiration>"));
    assert_eq!(
        (days, words.as_str()),
        (ErrorCode::InvalidArgument, "'Days' for Expiration action must be a positive integer")
    );
    assert_eq!(code(&rule("<Expiration><Days>-1</Days></Expiration>")).0, ErrorCode::InvalidArgument);
    let twice = rule(EXPIRES).repeat(2);
    let unique = "Rule ID must be unique. Found same ID for more than one rule";
    assert_eq!(code(&twice), (ErrorCode::InvalidArgument, unique.to_owned()));
    let long = rule(EXPIRES).replace("<ID>a</ID>", &format!("<ID>{}</ID>", "i".repeat(256)));
    assert_eq!(
        code(&long),
        (ErrorCode::InvalidArgument, "ID length should not exceed allowed limit of 255".to_owned())
    );
    for date in ["2030-01-01T00:00:01Z", "2030-01-01T01:00:00Z", "2030-01-01T00:00:00.5Z", "2030-01-01T00:00:00+01:00"]
    {
        let refused = code(&rule(&format!("<Expiration><Date>{date}</Date></Expiration>")));
        assert_eq!(refused, (ErrorCode::InvalidArgument, "'Date' must be at midnight GMT".to_owned()), "{date}");
    }
    for date in ["2030-01-01T00:00:00Z", "2030-01-01T00:00:00.000Z", "2030-01-01T01:00:00+01:00"] {
        assert!(parse(&rule(&format!("<Expiration><Date>{date}</Date></Expiration>"))).is_ok(), "{date}");
    }
    assert_eq!(code(&rule("")).0, ErrorCode::InvalidRequest);
    let tagged = "<Filter><Tag><Key>a</Key><Value>b</Value></Tag></Filter>";
    let sized = "<Filter><ObjectSizeLessThan>5</ObjectSizeLessThan></Filter>";
    let abort =
        "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>";
    let marker = "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>";
    for (filter, action) in [(tagged, abort), (sized, abort), (tagged, marker), (sized, marker)] {
        assert_eq!(code(&filtered(filter, action)).0, ErrorCode::InvalidRequest, "{filter} {action}");
    }
    let bounds = "<Filter><And><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan><ObjectSizeLessThan>5</ObjectSizeLessThan></And></Filter>";
    assert_eq!(code(&filtered(bounds, EXPIRES)).0, ErrorCode::InvalidRequest);
    let to = |time: &str, class: &str| format!("<Transition>{time}<StorageClass>{class}</StorageClass></Transition>");
    let twice = to("<Days>1</Days>", "COLD") + &to("<Days>2</Days>", "COLD");
    assert_eq!(code(&rule(&twice)).0, ErrorCode::InvalidRequest);
    let mixed = to("<Days>1</Days>", "COLD") + &to("<Date>2030-01-01</Date>", "ICE");
    assert_eq!(code(&rule(&mixed)).0, ErrorCode::InvalidRequest);
    assert_eq!(code(&rule(&(to("<Date>2030-01-01</Date>", "ICE") + EXPIRES))).0, ErrorCode::InvalidRequest);
    assert_eq!(code(&rule(&(to("<Days>1</Days>", "ICE") + EXPIRES))).0, ErrorCode::InvalidArgument);
    assert!(parse(&rule(&(to("<Days>0</Days>", "ICE") + EXPIRES))).is_ok());
    let newer = |newer: &str| {
        rule(&format!(
            "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays>\
             <NewerNoncurrentVersions>{newer}</NewerNoncurrentVersions></NoncurrentVersionExpiration>"
        ))
    };
    assert!(parse(&newer("1")).is_ok());
    assert_eq!(code(&newer("0")).0, ErrorCode::InvalidArgument);
    assert_eq!(code(&newer("101")).0, ErrorCode::InvalidArgument);
}

#[test]
fn filters_may_be_taken_leniently_and_all_of_them_must_hold() {
    let parse = |filter: &str| {
        let document = format!("<LifecycleConfiguration>{}</LifecycleConfiguration>", filtered(filter, EXPIRES));
        LifecycleConfiguration::parse_leniently(document.as_bytes(), MinimumSize::default())
    };
    let tag = |key: &str| format!("<Tag><Key>{key}</Key><Value>1</Value></Tag>");
    let read = parse(&format!(
        "<Filter><Prefix>a/</Prefix>{}<And><Prefix>a</Prefix>{}</And>\
         <ObjectSizeGreaterThan>5</ObjectSizeGreaterThan></Filter>",
        tag("b"),
        tag("c")
    ))
    .unwrap();
    let tags = ["b", "c"].map(|key| (key.to_owned(), "1".to_owned())).to_vec();
    let all =
        Filter { form: FilterForm::And, prefix: Some("a/".to_owned()), tags, larger_than: Some(5), smaller_than: None };
    assert_eq!(read.rules[0].filter, all);
    assert_eq!(LifecycleConfiguration::parse_stored(&read.stored()), Ok(read));
    assert_eq!(
        parse("<Filter><Prefix>a</Prefix><Prefix>b</Prefix></Filter>").unwrap_err().code(),
        ErrorCode::MalformedXML
    );
    assert_eq!(parse("<Filter><Prefix>a</Prefix><Other/></Filter>").unwrap_err().code(), ErrorCode::MalformedXML);
}

proptest::proptest! {
    #[test]
    fn any_rule_is_read_or_refused(content in "(<(Rule|ID|Filter|And|Tag|Key|Value|Prefix|Expiration|Days|Date)>|</(Rule|Filter|Date)>|[a0-9-]{0,3}){0,12}") {
        let _ = parse(&content);
    }

    #[test]
    fn dates_are_read_or_refused(date in "[0-9]{1,5}-[0-9]{1,2}-[0-9]{1,2}(T[0-9:.]{0,10}[Z+-]?[0-9:]{0,6})?") {
        let _ = parse(&rule(&format!("<Expiration><Date>{date}</Date></Expiration>")));
    }
}
